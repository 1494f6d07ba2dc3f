/* One serial port, whatever its make: uart_imx.c and uart_16550.c. */
#ifndef UART_H
#define UART_H

#include <khs/khs.h>

/* 8 data bits, no parity, one stop bit; an interrupt for what comes in. */
void uart_open(const struct khs_start_device *device);
/* Bytes that came in, at most `room`; how many. Less than that if no more are there. */
uint32_t uart_read(uint8_t *to, uint32_t room);
/* How many bytes its FIFO takes now, at least. */
uint32_t uart_room(void);
/* One of them. */
void uart_write(uint8_t byte);
/* What it interrupts for from now on: bytes that came in, and a FIFO that takes more. */
void uart_interrupts(bool input, bool room);

#endif
