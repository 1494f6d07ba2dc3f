/* A PC: serial ports (16550), the local APIC's timer (Intel SDM volume 3, 10.5) and, on an
 * emulator, its exit device. */
#include "../common/board.h"
#include "machine.h"
#include "pc.h"

#define COM_EVENTS 0x3f8u  /* uart1 */
#define COM_CONSOLE 0x2f8u /* uart2, the board's console */
#define COM_LINE_CONTROL 3u
#define COM_LINE_STATUS 5u
#define COM_READY 0x20u
#define COM_EMPTY 0x40u
#define BELL_PORT 0xe9u /* the emulator's debugging console */
#define EXIT_PORT 0xf4u

#define PIT_COUNTER 0x42u
#define PIT_COMMAND 0x43u
#define PIT_GATE 0x61u
#define PIT_ONCE 0xb0u /* counter 2, both bytes, mode 0 */
#define PIT_RUN 0x1u
#define PIT_SPEAKER 0x2u
#define PIT_DONE 0x20u
#define PIT_HZ 1193182u
#define PIT_COUNTS 2386u /* 2 ms */

#define APIC 0x3fe00000u /* where start.S shows it */
#define REGISTER(offset) (*(volatile uint32_t *)(uintptr_t)(APIC + (offset)))
#define APIC_EOI 0x0b0u
#define APIC_SPURIOUS 0x0f0u
#define APIC_LVT_TIMER 0x320u
#define APIC_LVT_LINT0 0x350u
#define APIC_LVT_LINT1 0x360u
#define APIC_INITIAL 0x380u
#define APIC_CURRENT 0x390u
#define APIC_DIVIDE 0x3e0u
#define APIC_FROM_PIC 0x700u
#define APIC_ENABLED 0x100u
#define APIC_MASKED 0x10000u
#define APIC_DIVIDE_BY_1 0xbu

/* 8259A interrupt controllers: lines of devices */
#define PIC 0x20u
#define PIC_SECOND 0xa0u
#define PIC_CASCADE 2u
#define PIC_BEGIN 0x11u
#define PIC_8086 1u
#define PIC_END 0x60u /* of the line in the low bits */
#define PIC_POLL 0x0cu
#define PIC_READ_SERVICE 0x0bu

const uintptr_t board_ram = 0;
const uintptr_t board_ram_end = APIC;
const uintptr_t board_image = 0x02000000u;

static void uart_open(uint16_t port)
{
    out8(port + 1, 0);
    out8(port + COM_LINE_CONTROL, 0x80);
    out8(port, 1); /* 115200 baud */
    out8(port + 1, 0);
    out8(port + COM_LINE_CONTROL, 0x03);
    out8(port + 2, 0x07);
}

static void pic_open(void)
{
    const uint16_t bases[] = {PIC, PIC_SECOND};
    for (uint32_t i = 0; i < 2; i++) {
        out8(bases[i], PIC_BEGIN);
        out8(bases[i] + 1, (uint8_t)(VECTOR_PIC + 8 * i));
        out8(bases[i] + 1, i ? PIC_CASCADE : 1u << PIC_CASCADE);
        out8(bases[i] + 1, PIC_8086);
        out8(bases[i] + 1, i ? 0xff : (uint8_t)~(1u << PIC_CASCADE));
    }
}

void board_open(void)
{
    uart_open(COM_EVENTS);
    uart_open(COM_CONSOLE);
    pc_descriptors();
    pic_open();
    REGISTER(APIC_LVT_LINT0) = APIC_FROM_PIC;
    REGISTER(APIC_LVT_LINT1) = APIC_MASKED;
    REGISTER(APIC_SPURIOUS) = APIC_ENABLED | VECTOR_SPURIOUS;
    REGISTER(APIC_DIVIDE) = APIC_DIVIDE_BY_1;
    REGISTER(APIC_LVT_TIMER) = VECTOR_TIMER; /* once */
}

void board_timer_start(uint32_t counts)
{
    REGISTER(APIC_INITIAL) = counts;
}

void board_timer_stop(void) { REGISTER(APIC_INITIAL) = 0; }

/* The time stamp counter; guests have no access. */
uint32_t board_clock(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return low;
}

/* By the third counter of the old interval timer, which port 61h starts and shows. */
uint32_t board_clock_hz(void)
{
    out8(PIT_GATE, (uint8_t)((in8(PIT_GATE) & ~PIT_SPEAKER) | PIT_RUN));
    out8(PIT_COMMAND, PIT_ONCE);
    out8(PIT_COUNTER, PIT_COUNTS & 0xff);
    out8(PIT_COUNTER, PIT_COUNTS >> 8);
    uint32_t from = board_clock();
    while (!(in8(PIT_GATE) & PIT_DONE)) {
    }
    return (uint32_t)((uint64_t)(board_clock() - from) * PIT_HZ / PIT_COUNTS);
}

void board_line_open(uint32_t line, bool open)
{
    uint16_t mask = line < 8 ? PIC + 1 : PIC_SECOND + 1;
    uint8_t bit = (uint8_t)(1u << (line & 7u)), now = in8(mask);
    if (line < 16)
        out8(mask, open ? now & (uint8_t)~bit : now | bit);
}

/* The line that is in service, which it is no longer then. */
static uint32_t served(uint32_t line)
{
    if (line >= 8)
        out8(PIC_SECOND, (uint8_t)(PIC_END | (line & 7u)));
    out8(PIC, (uint8_t)(PIC_END | (line >= 8 ? PIC_CASCADE : line)));
    board_line_open(line, false);
    return line;
}

/* Of the second controller, as the first says; masked meanwhile it has none, and the first waits for its end. */
static uint32_t second(uint32_t line)
{
    if (line != BOARD_NOTHING)
        return line + 8u;
    out8(PIC, PIC_END | PIC_CASCADE);
    return BOARD_NOTHING;
}

/* Poll mode (Intel 8259A data sheet, OCW3): reading is the acknowledge. */
static uint32_t pic_poll(uint16_t base)
{
    out8(base, PIC_POLL);
    uint8_t answer = in8(base);
    return answer & 0x80u ? answer & 7u : BOARD_NOTHING;
}

uint32_t board_poll(void)
{
    uint32_t line = pic_poll(PIC);
    if (line == PIC_CASCADE)
        line = second(pic_poll(PIC_SECOND));
    return line == BOARD_NOTHING ? line : served(line);
}

static uint32_t in_service(uint16_t base)
{
    out8(base, PIC_READ_SERVICE);
    uint8_t lines = in8(base);
    return lines ? (uint32_t)__builtin_ctz(lines) : BOARD_NOTHING;
}

uint32_t board_interrupt(void)
{
    uint32_t line = in_service(PIC);
    if (line == PIC_CASCADE)
        line = second(in_service(PIC_SECOND));
    if (line != BOARD_NOTHING)
        return served(line);
    REGISTER(APIC_EOI) = 0;
    return REGISTER(APIC_CURRENT) == 0 ? BOARD_TIMER : BOARD_NOTHING;
}

static void put(uint16_t port, uint8_t byte)
{
    while (!(in8(port + COM_LINE_STATUS) & COM_READY)) {
    }
    out8(port, byte);
}

void board_event_byte(uint8_t byte) { put(COM_EVENTS, byte); }

void board_bell(void) { out8(BELL_PORT, 1); }

void board_console_byte(uint8_t byte)
{
    if (byte == '\n')
        put(COM_CONSOLE, '\r');
    put(COM_CONSOLE, byte);
}

static void wait_until_sent(uint16_t port)
{
    while (!(in8(port + COM_LINE_STATUS) & COM_EMPTY)) {
    }
}

void board_exit(uint32_t code, bool emulated)
{
    wait_until_sent(COM_EVENTS);
    wait_until_sent(COM_CONSOLE);
    if (emulated)
        out8(EXIT_PORT, (uint8_t)code); /* the emulator's exit status is 2 * code + 1 */
    for (;;)
        __asm__ volatile("hlt");
}
