/* Models outside: whoever loaded the system has them. */
#include "../device.h"

static void hear(khs_device *d)
{
    d->state->lines = (uint32_t)d->calls.said->lines;
    d->state->next = d->calls.said->next;
    d->state->faults |= (uint32_t)d->calls.said->faults & ((1u << KHS_HOST_FAULTS) - 1u);
    d->calls.said->faults = 0;
}

static void outside_reset(khs_device *d)
{
    d->calls.reset(d->number);
    hear(d);
}

static uint32_t outside_read(khs_device *d, uint32_t offset, uint32_t size)
{
    uint32_t value = d->calls.read(d->number, offset, size, d->state->now);
    hear(d);
    return value;
}

static void outside_write(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    d->calls.write(d->number, offset, size, value, d->state->now);
    hear(d);
}

static void outside_advance(khs_device *d)
{
    d->calls.advance(d->number, d->state->now);
    hear(d);
}

static void outside_input(khs_device *d)
{
    const khs_input *input = &d->host->inputs[d->state->known - 1];
    d->calls.input(d->number, input->data, input->size, d->state->now);
    d->state->input = d->state->known;
    d->state->received += input->size;
    hear(d);
}

const khs_model khs_model_outside = {
    .widest = 4,
    .reset = outside_reset,
    .read = outside_read,
    .write = outside_write,
    .advance = outside_advance,
    .input = outside_input,
    .is_prompt = true,
};
