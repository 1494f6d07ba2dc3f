/* Drives a serial port of its own: answers in capitals, from the interrupt. The first argument
 * names the device. */
#include "uart.h"

static void answer(uint32_t irq)
{
    (void)irq;
    for (int byte = uart_read(); byte >= 0; byte = uart_read())
        uart_write((uint8_t)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte));
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    khs_interrupts(answer, 0);
    uart_open(device);
    for (const char *c = "ready\n"; *c; c++)
        uart_write((uint8_t)*c);
    khs_ready();
    for (;;)
        khs_wait();
}
