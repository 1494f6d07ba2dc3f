/* Shows what is at pins 0 to 7 of an i.MX GPIO at its pins 8 to 15, what is at 16 to 23 at 24 to 31, each
 * half from its own interrupt: each input that is high drives its output low. The first argument names the
 * device (i.MX 6Dual/6Quad Applications Processor Reference Manual, chapter 28). */
#include <khs/khs.h>

enum { DATA = 0x00, DIRECTION = 0x04, PADS = 0x08, MASK = 0x14, STATUS = 0x18, BOTH_EDGES = 0x1c };

#define INPUTS 0x00ff00ffu
#define OUTPUTS (INPUTS << 8)
#define LOWER 0xffffu

static uintptr_t base;
static uint32_t upper_irq;
static volatile uint32_t changes;

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

/* Looks after it has cleared: a change that comes in between interrupts again. */
static void show(uint32_t irq)
{
    uint32_t half = irq == upper_irq ? ~LOWER : LOWER;
    *at(STATUS) = INPUTS & half;
    *at(DATA) = (*at(DATA) & OUTPUTS & ~half) | (~(*at(PADS) << 8) & OUTPUTS & half);
    changes++;
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    if (device->irqs != 2) {
        khs_print("%s has no interrupt for each half of its pins\n", khs_arg(0));
        return;
    }
    base = (uintptr_t)device->address;
    upper_irq = device->irq + 1;
    *at(BOTH_EDGES) = INPUTS;
    *at(DATA) = OUTPUTS;
    *at(DIRECTION) = OUTPUTS;
    show(device->irq);
    show(upper_irq);
    khs_interrupts(show, 0);
    *at(MASK) = INPUTS;
    khs_ready();
    for (uint32_t seen = changes;; seen++) {
        while (seen == changes)
            khs_wait();
        uint32_t inputs = *at(PADS) & INPUTS;
        khs_print("inputs %02x %02x\n", (unsigned)(inputs >> 16), (unsigned)(inputs & LOWER));
    }
}
