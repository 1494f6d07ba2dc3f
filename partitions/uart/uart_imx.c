/* i.MX UART (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 64). */
#ifdef __arm__
#include "uart.h"

enum { URXD = 0x00, UTXD = 0x40, UCR1 = 0x80, UCR2 = 0x84, UCR3 = 0x88, UFCR = 0x90, USR1 = 0x94, USR2 = 0x98 };

#define UCR1_ENABLE 0x0001u
#define UCR1_READY_INTERRUPT 0x0200u
#define UCR2_ON 0x4027u /* ignore RTS, 8 bits, transmitter and receiver on, out of reset */
#define UCR3_MUXED 0x0004u
#define UFCR_ONE_BYTE 0x0801u /* levels of the FIFOs that interrupt */
#define USR1_TRANSMIT 0x2000u
#define USR2_RECEIVED 0x0001u

static uintptr_t base;

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

void uart_open(const struct khs_start_device *device)
{
    base = (uintptr_t)device->address;
    *at(UCR2) = UCR2_ON;
    *at(UCR3) = UCR3_MUXED;
    *at(UFCR) = UFCR_ONE_BYTE;
    *at(UCR1) = UCR1_ENABLE | UCR1_READY_INTERRUPT;
}

int uart_read(void)
{
    if (!(*at(USR2) & USR2_RECEIVED))
        return -1;
    return (int)(*at(URXD) & 0xffu);
}

void uart_write(uint8_t byte)
{
    while (!(*at(USR1) & USR1_TRANSMIT)) {
    }
    *at(UTXD) = byte;
}
#endif
