/* The bits of CAN frames: how many there are, which of them arbitration compares, and their time. */
#include "can.h"

typedef struct khs_can_coder {
    uint32_t bits, crc, run, last;
} khs_can_coder;

static void code(khs_can_coder *c, uint32_t value, uint32_t count)
{
    while (count-- > 0) {
        uint32_t bit = value >> count & 1;
        c->crc = (c->crc << 1 & 0x7fff) ^ ((c->crc >> 14 ^ bit) & 1 ? 0x4599u : 0u);
        c->run = c->bits > 0 && bit == c->last ? c->run + 1 : 1;
        c->last = bit;
        c->bits++;
        if (c->run == 5) { /* one of the other kind, with which the next run begins */
            c->bits++;
            c->last = !bit;
            c->run = 1;
        }
    }
}

uint32_t khs_can_bits(const khs_can_frame *f)
{
    khs_can_coder c = {0};
    uint32_t is_remote = f->id & KHS_CAN_REMOTE ? 1 : 0;
    code(&c, 0, 1);
    if (f->id & KHS_CAN_EXTENDED) {
        code(&c, f->id >> 18, 11);
        code(&c, 3, 2);
        code(&c, f->id, 18);
        code(&c, is_remote << 2, 3);
    } else {
        code(&c, f->id, 11);
        code(&c, is_remote << 2, 3);
    }
    code(&c, f->size, 4);
    for (uint32_t i = 0; i < f->size && !is_remote; i++)
        code(&c, f->data[i], 8);
    code(&c, c.crc, 15);
    return c.bits;
}

uint32_t khs_can_key(const khs_can_frame *f)
{
    uint32_t is_remote = f->id & KHS_CAN_REMOTE ? 1 : 0;
    if (f->id & KHS_CAN_EXTENDED)
        return (f->id >> 18 & 0x7ff) << 21 | 3u << 19 | (f->id & 0x3ffff) << 1 | is_remote;
    return (f->id & 0x7ff) << 21 | is_remote << 20;
}

uint64_t khs_can_ticks(const khs_device *d, const khs_can_rate *rate, uint64_t bits)
{
    uint64_t hz = d->host->config->clock_hz;
    return (bits * hz * rate->quanta + rate->hz - 1) / rate->hz;
}
