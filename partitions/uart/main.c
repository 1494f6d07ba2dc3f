/* Drives a serial port of its own: answers in capitals, from the interrupt. The first argument
 * names the device. FIFOs are emptied and filled at once; between two interrupts it sleeps. */
#include "uart.h"

#define RING 1024u /* what is still to be sent; a power of two */
#define AT_ONCE 32u

static uint8_t ring[RING];
static uint32_t head, tail;

static void receive(void)
{
    uint8_t came[AT_ONCE];
    uint32_t room, count;
    do {
        room = RING - (tail - head) < AT_ONCE ? RING - (tail - head) : AT_ONCE;
        count = uart_read(came, room);
        for (uint32_t i = 0; i < count; i++)
            ring[tail++ % RING] = (uint8_t)(came[i] >= 'a' && came[i] <= 'z' ? came[i] - 'a' + 'A' : came[i]);
    } while (count == AT_ONCE);
}

static void send(void)
{
    for (uint32_t room = head != tail ? uart_room() : 0; room > 0 && head != tail; room--)
        uart_write(ring[head++ % RING]);
}

/* With no room for more, what comes in waits in the UART, and outside. */
static void answer(uint32_t irq)
{
    (void)irq;
    receive();
    send();
    uart_interrupts(tail - head < RING, head != tail);
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    uart_open(device);
    for (const char *c = "ready\n"; *c; c++)
        ring[tail++] = (uint8_t)*c;
    send();
    khs_interrupts(answer, 0);
    uart_interrupts(true, head != tail);
    khs_ready();
    for (;;)
        khs_wait();
}
