/* 16550 UART (National Semiconductor PC16550D data sheet) behind I/O ports. */
#if defined(__i386__) || defined(__x86_64__)
#include "uart.h"

enum { DATA = 0, INTERRUPTS = 1, CAUSE = 2, FIFO = 2, LINE_CONTROL = 3, MODEM_CONTROL = 4, LINE_STATUS = 5 };

#define INTERRUPT_RECEIVED 0x01u
#define INTERRUPT_EMPTY 0x02u
#define CAUSE_MASK 0x0fu
#define CAUSE_LEVEL 0x04u
#define FIFO_ON 0xc7u /* both empty; an interrupt at 14 bytes, or when no more have come for a while */
#define LEVEL 14u
#define FIFO_BYTES 16u
#define DIVISOR 0x80u
#define EIGHT_BITS 0x03u
#define MODEM_READY 0x0bu /* DTR, RTS, and OUT2, which lets the interrupt out */
#define STATUS_RECEIVED 0x01u
#define STATUS_TRANSMIT 0x20u

static uint16_t base;
static uint8_t enabled; /* as INTERRUPTS has it */

static void out(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"((uint16_t)(base + port))); }
static uint8_t in(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)(base + port)));
    return value;
}

void uart_open(const struct khs_start_device *device)
{
    base = (uint16_t)device->address;
    out(LINE_CONTROL, DIVISOR);
    out(DATA, 1); /* 115200 baud */
    out(INTERRUPTS, enabled = 0);
    out(LINE_CONTROL, EIGHT_BITS);
    out(FIFO, FIFO_ON);
    out(MODEM_CONTROL, MODEM_READY);
    uart_interrupts(true, false);
}

/* At the level so many are there, and need not be asked for one by one. None is left behind: where
 * interrupts are edges, one whose cause stays would not come again. */
uint32_t uart_read(uint8_t *to, uint32_t room)
{
    uint32_t count = 0, sure = room > 0 && (in(CAUSE) & CAUSE_MASK) == CAUSE_LEVEL ? LEVEL : 0;
    while (count < room && (count < sure || in(LINE_STATUS) & STATUS_RECEIVED))
        to[count++] = in(DATA);
    return count;
}

/* It tells when its FIFO is empty alone. */
uint32_t uart_room(void) { return in(LINE_STATUS) & STATUS_TRANSMIT ? FIFO_BYTES : 0; }

void uart_write(uint8_t byte) { out(DATA, byte); }

void uart_interrupts(bool input, bool room)
{
    uint8_t wanted = (uint8_t)((input ? INTERRUPT_RECEIVED : 0) | (room ? INTERRUPT_EMPTY : 0));
    if (wanted != enabled)
        out(INTERRUPTS, enabled = wanted);
}
#endif
