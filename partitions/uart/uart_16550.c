/* 16550 UART (National Semiconductor PC16550D data sheet) behind I/O ports. */
#if defined(__i386__) || defined(__x86_64__)
#include "uart.h"

enum { DATA = 0, INTERRUPTS = 1, FIFO = 2, LINE_CONTROL = 3, MODEM_CONTROL = 4, LINE_STATUS = 5 };

#define INTERRUPT_RECEIVED 0x01u
#define INTERRUPT_EMPTY 0x02u
#define FIFO_ON 0x87u /* both empty; an interrupt at 8 bytes, or when no more have come for a while */
#define FIFO_BYTES 16u
#define DIVISOR 0x80u
#define EIGHT_BITS 0x03u
#define MODEM_READY 0x0bu /* DTR, RTS, and OUT2, which lets the interrupt out */
#define STATUS_RECEIVED 0x01u
#define STATUS_TRANSMIT 0x20u

static uint16_t base;

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
    out(INTERRUPTS, 0);
    out(LINE_CONTROL, EIGHT_BITS);
    out(FIFO, FIFO_ON);
    out(MODEM_CONTROL, MODEM_READY);
    uart_interrupts(true, false);
}

int uart_read(void) { return in(LINE_STATUS) & STATUS_RECEIVED ? in(DATA) : -1; }

/* It tells when its FIFO is empty alone. */
uint32_t uart_room(void) { return in(LINE_STATUS) & STATUS_TRANSMIT ? FIFO_BYTES : 0; }

void uart_write(uint8_t byte) { out(DATA, byte); }

void uart_interrupts(bool input, bool room)
{
    out(INTERRUPTS, (uint8_t)((input ? INTERRUPT_RECEIVED : 0) | (room ? INTERRUPT_EMPTY : 0)));
}
#endif
