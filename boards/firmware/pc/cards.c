/* PCI cards of partitions: registers come to the I/O ports, and the interrupt to the line, that the
 * board's file has (PCI Local Bus Specification 3.0: 3.2.2.3.2 for the way to a function's registers,
 * 6.1 and 6.2 for these). No card is made a bus master: none reaches memory by itself.
 *
 * One make is known, Kvaser's PCIcan: an SJA1000 behind an AMCC S5920, and a Xilinx. */
#include "../common/board.h"
#include "machine.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA 0xcfcu
#define CONFIG_ENABLE 0x80000000u
#define SLOTS 32u /* of bus 0 */
#define ID 0x00u
#define COMMAND 0x04u
#define COMMAND_IO 0x1u
#define BAR(n) (0x10u + 4u * (n))

#define KVASER 0x840610e8u
#define SJA1000_PORTS 0x80u
#define S5920 0x1000u /* from the SJA1000's ports on: not for its owner */
#define XILINX 0x2000u
#define S5920_INTCSR 0x38u
#define INTCSR_ADD_ON 0x2000u /* the SJA1000's interrupt is the card's (Linux, kvaser_pci.c) */

#define WAYS 4u
#define LEVEL 0x4d0u        /* of the 8259As' lines, else edge: ELCR of either bridge */
#define ALWAYS_EDGE 0x2107u /* lines 0, 1, 2, 8 and 13 */

/* The bridge that has the 8259As: where it is, its registers that take a way to a line, and the slot
 * whose INTA goes the first of these ways, those behind it the next, as QEMU has wired them. */
static const struct bridge {
    uint32_t id, slot, ways, first;
} bridges[] = {
    {0x70008086u, 1, 0x60, 1},  /* 82371SB (PIIX3), PIRQRC: ways A to D */
    {0x29188086u, 31, 0x68, 0}, /* ICH9, PIRQ[n]_ROUT: ways E to H */
};

static uint32_t config(uint32_t slot, uint32_t offset)
{
    out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | offset);
    return in32(CONFIG_DATA);
}

static void config_write(uint32_t slot, uint32_t offset, uint32_t value)
{
    out32(CONFIG_ADDRESS, CONFIG_ENABLE | slot << 11 | offset);
    out32(CONFIG_DATA, value);
}

/* False if another card's interrupt goes the same way. */
static bool route(const struct bridge *bridge, uint32_t slot, uint32_t line)
{
    static uint32_t taken;
    uint32_t way = (slot - bridge->first) % WAYS, shift = 8 * way;
    if (taken & 1u << way)
        return false;
    taken |= 1u << way;
    uint32_t others = config(bridge->slot, bridge->ways) & ~(0xffu << shift);
    config_write(bridge->slot, bridge->ways, others | line << shift);
    uint16_t level = (uint16_t)(LEVEL + line / 8);
    out8(level, (uint8_t)(in8(level) | 1u << line % 8));
    return true;
}

static bool route_card(uint32_t slot, uint32_t line)
{
    for (uint32_t i = 0; i < sizeof bridges / sizeof *bridges; i++)
        if (config(bridges[i].slot, ID) == bridges[i].id)
            return route(&bridges[i], slot, line);
    return false;
}

bool board_card_open(uint32_t card, uint32_t port, uint32_t line)
{
    static uint32_t slot; /* the first that nobody has: cards are in the order of their devices */
    bool fits = port % SJA1000_PORTS == 0 && port < 0x10000u - XILINX && line < 16 && !(ALWAYS_EDGE >> line & 1u);
    while (slot < SLOTS && config(slot, ID) != card)
        slot++;
    if (card != KVASER || !fits || slot == SLOTS || !route_card(slot, line))
        return false;
    config_write(slot, COMMAND, 0);
    config_write(slot, BAR(0), port + S5920);
    config_write(slot, BAR(1), port);
    config_write(slot, BAR(2), port + XILINX);
    config_write(slot, COMMAND, COMMAND_IO);
    out32((uint16_t)(port + S5920 + S5920_INTCSR), INTCSR_ADD_ON);
    slot++;
    return true;
}
