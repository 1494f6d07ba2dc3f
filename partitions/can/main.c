/* Talks over a CAN bus with another of its kind. The first argument names the device; the second is
 * "ask", which sends some frames at each tick of its timer and counts the answers, or "answer", which sends back
 * what comes, by the next identifier and with its bits turned over, from the interrupt. */
#include "can.h"

enum { ASKED = 0x100, SAY_ROUNDS = 10 };

static uint32_t asked, answered, wrong, lost, rounds, frames;

/* Answers come in the order of the questions. */
static void count(uint32_t irq)
{
    struct can_frame frame;
    (void)irq;
    while (can_read(&frame)) {
        uint32_t number = 0;
        for (uint32_t i = 0; i < 4; i++)
            number |= (uint32_t)(uint8_t)~frame.data[i] << 8 * i;
        bool fine = frame.id == ASKED + 1 && frame.size == 4 && number == answered + wrong;
        answered += fine;
        wrong += !fine;
    }
    lost += can_lost();
}

static void answer(uint32_t irq)
{
    struct can_frame frame;
    (void)irq;
    while (can_read(&frame)) {
        frame.id++;
        for (uint32_t i = 0; i < frame.size; i++)
            frame.data[i] = (uint8_t)~frame.data[i];
        can_send(&frame);
    }
    lost += can_lost();
}

static void ask_one(void)
{
    struct can_frame frame = {.id = ASKED, .size = 4};
    for (uint32_t i = 0; i < 4; i++)
        frame.data[i] = (uint8_t)(asked >> 8 * i);
    can_send(&frame);
    asked++;
}

static void on_interrupt(uint32_t irq)
{
    if (irq != KHS_IRQ_TIMER) {
        count(irq);
        return;
    }
    for (uint32_t i = 0; i < frames; i++)
        ask_one();
    if (++rounds % SAY_ROUNDS == 0)
        khs_print("%u asked, %u answered, %u wrong, %u lost\n", asked, answered, wrong, lost);
}

void main(void)
{
    const struct khs_start_device *device = khs_device(khs_arg(0));
    bool asks = khs_arg(1) != NULL && khs_arg(1)[0] == 'a' && khs_arg(1)[1] == 's';
    uint32_t every = khs_env_number("EVERY_US", 10000);
    if (device == NULL) {
        khs_print("there is no device %s\n", khs_arg(0));
        return;
    }
    frames = khs_env_number("FRAMES", 3);
    khs_interrupts(asks ? on_interrupt : answer, 0);
    can_open(device);
    if (asks)
        khs_timer_set(every, every);
    khs_ready();
    for (;;)
        khs_wait();
}
