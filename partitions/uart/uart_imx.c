/* i.MX UART (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 64). */
#ifdef __arm__
#include "uart.h"

enum { URXD = 0x00, UTXD = 0x40, UCR1 = 0x80, UCR2 = 0x84, UCR3 = 0x88, UFCR = 0x90, USR1 = 0x94 };

#define UCR1_ENABLE 0x0001u
#define UCR1_READY_INTERRUPT 0x0200u
#define UCR1_ROOM_INTERRUPT 0x2000u
#define UCR2_AGE_INTERRUPT 0x0008u /* when bytes have waited for the time of 8 */
#define UCR2_ON 0x4027u /* ignore RTS, 8 bits, transmitter and receiver on, out of reset */
#define UCR3_MUXED 0x0004u
#define UFCR_LEVELS 0x2010u /* interrupts at 16 bytes that came in, and at less than 8 to be sent */
#define ROOM 24u
#define USR1_TRANSMIT 0x2000u
#define URXD_READY 0x8000u

static uintptr_t base;
static uint32_t enabled; /* as UCR1 has it */

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

void uart_open(const struct khs_start_device *device)
{
    base = (uintptr_t)device->address;
    *at(UCR2) = UCR2_ON;
    *at(UCR3) = UCR3_MUXED;
    *at(UFCR) = UFCR_LEVELS;
    uart_interrupts(true, false);
}

uint32_t uart_read(uint8_t *to, uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t came; count < room && (came = *at(URXD)) & URXD_READY;)
        to[count++] = (uint8_t)came;
    return count;
}

uint32_t uart_room(void) { return *at(USR1) & USR1_TRANSMIT ? ROOM : 0; }

void uart_write(uint8_t byte) { *at(UTXD) = byte; }

void uart_interrupts(bool input, bool room)
{
    uint32_t wanted = UCR1_ENABLE | (input ? UCR1_READY_INTERRUPT : 0) | (room ? UCR1_ROOM_INTERRUPT : 0);
    if (wanted == enabled)
        return;
    *at(UCR2) = UCR2_ON | (input ? UCR2_AGE_INTERRUPT : 0);
    *at(UCR1) = enabled = wanted;
}
#endif
