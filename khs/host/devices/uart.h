/* What UARTs have in common: uart.c. Models set what the registers say and ask what there is. */
#ifndef KHS_HOST_UART_H
#define KHS_HOST_UART_H

#include "../device.h"

#define KHS_UART_NONE (-1)

/* Both FIFOs empty, nothing under way, both directions off. */
void khs_uart_clear(khs_device *device, uint32_t depth);
/* Characters of `bits` at `baud`, as ticks; no faster than any UART, and in finite time. */
void khs_uart_speed(khs_device *device, uint64_t baud, uint32_t bits);
/* What was switched on goes on: called when that changes, or there is room or input again. */
void khs_uart_go_on(khs_device *device);
/* Characters that are complete by now. */
void khs_uart_advance(khs_device *device);
/* The oldest character that came in, KHS_UART_NONE if there is none. */
int khs_uart_fetch(khs_device *device);
/* A character to send; lost if the FIFO is full, as on a real one. */
void khs_uart_send(khs_device *device, uint8_t character);
void khs_uart_empty(khs_byte_queue *queue);
/* Ticks before which this is not so if nobody touches the UART and nothing comes from outside:
 * the receiver holds `count` characters, which are more than it holds now; */
uint64_t khs_uart_will_hold(const khs_uart *uart, uint32_t count);
/* no more than `count` are left to be sent, which are less than now; */
uint64_t khs_uart_will_leave(const khs_uart *uart, uint32_t count);
/* nothing is on its way out either; */
uint64_t khs_uart_will_idle(const khs_uart *uart);
/* what came in is old; */
uint64_t khs_uart_will_age(const khs_uart *uart);
/* a character finds no room. */
uint64_t khs_uart_will_overrun(const khs_uart *uart);
/* Nothing is to be sent, nor on its way. */
bool khs_uart_is_idle(const khs_uart *uart);

#endif
