/* One serial port, whatever its make: uart_imx.c and uart_16550.c. */
#ifndef UART_H
#define UART_H

#include <khs/khs.h>

/* 8 data bits, no parity, one stop bit; an interrupt for what comes in. */
void uart_open(const struct khs_start_device *device);
/* The next byte that came in, -1 if there is none. */
int uart_read(void);
void uart_write(uint8_t byte);

#endif
