/* Shows what is at pins 0 to 7 of an i.MX GPIO at its pins 8 to 15, from the interrupt: each input that
 * is high drives its output low. The first argument names the device (i.MX 6Dual/6Quad Applications
 * Processor Reference Manual, chapter 28). */
#include <khs/khs.h>

enum { DATA = 0x00, DIRECTION = 0x04, PADS = 0x08, MASK = 0x14, STATUS = 0x18, BOTH_EDGES = 0x1c };

#define INPUTS 0x00ffu
#define OUTPUTS 0xff00u

static uintptr_t base;
static volatile uint32_t changes;

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

/* Looks after it has cleared: a change that comes in between interrupts again. */
static void show(uint32_t irq)
{
    (void)irq;
    *at(STATUS) = INPUTS;
    *at(DATA) = ~(*at(PADS) << 8) & OUTPUTS;
    changes++;
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    base = (uintptr_t)device->address;
    *at(BOTH_EDGES) = INPUTS;
    *at(DATA) = OUTPUTS;
    *at(DIRECTION) = OUTPUTS;
    show(0);
    khs_interrupts(show, 0);
    *at(MASK) = INPUTS;
    khs_ready();
    for (uint32_t seen = changes;; seen++) {
        while (seen == changes)
            khs_wait();
        khs_print("inputs %02x\n", (unsigned)(*at(PADS) & INPUTS));
    }
}
