/* SJA1000 (NXP SJA1000 data sheet, 2000) in its PeliCAN mode, with a crystal of 16 MHz. Without
 * BasicCAN, sleep and waking, output control; what comes of the divider is its register alone. */
#include <string.h>

#include "can.h"

#define CLOCK_HZ 16000000u
#define FIFO 64u

enum { MODE = 0, COMMAND = 1, STATUS = 2, INTERRUPT = 3, ENABLE = 4, TIMING0 = 6, TIMING1 = 7, OUTPUT = 8, LOST = 11,
       ERROR = 12, WARNING = 13, RECEIVE_ERRORS = 14, SEND_ERRORS = 15, BUFFER = 16, BUFFER_END = 29, CODE = 16, MASK = 20,
       MASK_END = 24, MESSAGES = 29, START = 30, DIVIDER = 31, RAM = 32, RAM_END = 96, SENT = 96, SENT_END = 109 };

#define MODE_RESET 0x01u
#define MODE_LISTEN 0x02u
#define MODE_SELF_TEST 0x04u
#define MODE_ONE_FILTER 0x08u
#define COMMAND_SEND 0x01u
#define COMMAND_ABORT 0x02u
#define COMMAND_RELEASE 0x04u
#define COMMAND_CLEAR_OVERRUN 0x08u
#define COMMAND_SEND_SELF 0x10u
#define STATUS_RECEIVED 0x01u
#define STATUS_OVERRUN 0x02u
#define STATUS_FREE 0x04u
#define STATUS_SENT 0x08u
#define STATUS_RECEIVES 0x10u
#define STATUS_SENDS 0x20u
#define STATUS_ERRORS 0x40u
#define STATUS_OFF 0x80u
#define INTERRUPT_RECEIVED 0x01u
#define INTERRUPT_SENT 0x02u
#define INTERRUPT_ERRORS 0x04u
#define INTERRUPT_OVERRUN 0x08u
#define INTERRUPT_PASSIVE 0x20u
#define INTERRUPT_LOST 0x40u
#define INTERRUPT_BUS_ERROR 0x80u
#define ERROR_RECEIVING 0x20u /* ECC: its kind, whether while receiving, its place */
#define INFO_EXTENDED 0x80u
#define INFO_REMOTE 0x40u

static khs_sja1000 *of(khs_device *d) { return &d->state->can.sja1000; }
static bool is_reset(khs_device *d) { return of(d)->mode & MODE_RESET; }

static void set_line(khs_device *d)
{
    khs_sja1000 *s = of(d);
    bool received = s->messages > 0 && (s->enabled & INTERRUPT_RECEIVED);
    s->interrupts = (uint8_t)((s->interrupts & ~INTERRUPT_RECEIVED) | (received ? INTERRUPT_RECEIVED : 0));
    d->state->lines = s->interrupts != 0;
}

static void interrupt(khs_device *d, uint32_t which)
{
    of(d)->interrupts |= which & of(d)->enabled;
    set_line(d);
}

/* ------------------------------------------------------------ frames as bytes */

static uint32_t head_size(uint8_t info) { return info & INFO_EXTENDED ? 5 : 3; }

static uint32_t pack(uint8_t *bytes, const khs_can_frame *f)
{
    bool extended = f->id & KHS_CAN_EXTENDED, remote = f->id & KHS_CAN_REMOTE;
    uint32_t id = extended ? f->id << 3 : f->id << 21, rtr = remote ? (extended ? 4u : 1u << 20) : 0;
    bytes[0] = (uint8_t)((extended ? INFO_EXTENDED : 0) | (remote ? INFO_REMOTE : 0) | f->size);
    uint32_t size = head_size(bytes[0]);
    for (uint32_t i = 1; i < size; i++)
        bytes[i] = (uint8_t)((id | rtr) >> (32 - 8 * i));
    if (remote)
        return size;
    memcpy(bytes + size, f->data, f->size);
    return size + f->size;
}

static khs_can_frame unpack(const uint8_t *bytes)
{
    uint32_t size = bytes[0] & 15, head = head_size(bytes[0]), id = 0;
    khs_can_frame f = {.size = (uint8_t)(size < 8 ? size : 8)};
    for (uint32_t i = 1; i < 5; i++)
        id = id << 8 | (i < head ? bytes[i] : 0u);
    f.id = bytes[0] & INFO_EXTENDED ? id >> 3 | KHS_CAN_EXTENDED : id >> 21;
    if (bytes[0] & INFO_REMOTE)
        f.id |= KHS_CAN_REMOTE;
    else
        memcpy(f.data, bytes + head, f.size);
    return f;
}

/* ------------------------------------------------------------ acceptance */

/* Whether the bits that are to be looked at, `care`, are those of the code. */
static bool passes(khs_sja1000 *s, const uint8_t *want, const uint8_t *care)
{
    for (uint32_t i = 0; i < 4; i++)
        if ((s->code[i] ^ want[i]) & ~s->mask[i] & care[i])
            return false;
    return true;
}

static bool accepts_one(khs_sja1000 *s, const uint8_t *b, uint32_t data)
{
    if (b[0] & INFO_EXTENDED)
        return passes(s, b + 1, (const uint8_t[]){0xff, 0xff, 0xff, 0xfc});
    uint8_t want[] = {b[1], b[2], data > 0 ? b[3] : 0, data > 1 ? b[4] : 0};
    return passes(s, want, (const uint8_t[]){0xff, 0xf0, data > 0 ? 0xff : 0, data > 1 ? 0xff : 0});
}

static bool accepts_either(khs_sja1000 *s, const uint8_t *b, uint32_t data)
{
    uint8_t first = data > 0 && !(b[0] & INFO_EXTENDED) ? b[3] : 0, nibble = data > 0 ? 0x0f : 0;
    if (b[0] & INFO_EXTENDED)
        return passes(s, (const uint8_t[]){b[1], b[2], 0, 0}, (const uint8_t[]){0xff, 0xff, 0, 0}) ||
               passes(s, (const uint8_t[]){0, 0, b[1], b[2]}, (const uint8_t[]){0, 0, 0xff, 0xff});
    uint8_t low = (uint8_t)((b[2] & 0xf0) | first >> 4);
    return passes(s, (const uint8_t[]){b[1], low, 0, first & 0x0f}, (const uint8_t[]){0xff, (uint8_t)(0xf0 | nibble), 0, nibble}) ||
           passes(s, (const uint8_t[]){0, 0, b[1], b[2]}, (const uint8_t[]){0, 0, 0xff, 0xf0});
}

static void receive(khs_device *d, const khs_can_frame *frame)
{
    khs_sja1000 *s = of(d);
    uint8_t bytes[13];
    uint32_t size = pack(bytes, frame), data = size - head_size(bytes[0]);
    if (!(s->mode & MODE_ONE_FILTER ? accepts_one(s, bytes, data) : accepts_either(s, bytes, data)))
        return;
    if (s->fill + size > FIFO) {
        s->overrun = true;
        khs_can_overrun(d);
        interrupt(d, INTERRUPT_OVERRUN);
        return;
    }
    for (uint32_t i = 0; i < size; i++)
        s->ram[(s->start + s->fill + i) % FIFO] = bytes[i];
    s->fill += size;
    s->messages++;
    set_line(d);
}

static void release(khs_device *d)
{
    khs_sja1000 *s = of(d);
    if (s->messages == 0)
        return;
    uint8_t info = s->ram[s->start];
    uint32_t size = head_size(info) + (info & INFO_REMOTE ? 0 : info & 15);
    s->start = (uint8_t)((s->start + size) % FIFO);
    s->fill -= size;
    s->messages--;
}

/* ------------------------------------------------------------ what the bus tells */

static bool ready(khs_device *d, khs_can_frame *frame)
{
    if (of(d)->requested)
        *frame = unpack(of(d)->to_send);
    return of(d)->requested;
}

static void begun(khs_device *d) { of(d)->under_way = true; }

static void end(khs_device *d, bool sent)
{
    khs_sja1000 *s = of(d);
    s->requested = s->under_way = false;
    s->sent = sent;
    interrupt(d, INTERRUPT_SENT);
}

static void lost(khs_device *d, uint32_t bit)
{
    khs_sja1000 *s = of(d);
    if (!s->lost_told)
        s->lost_at = (uint8_t)bit;
    s->lost_told = true;
    interrupt(d, INTERRUPT_LOST);
    if (s->once)
        end(d, false);
}

static void sent(khs_device *d, const khs_can_frame *frame)
{
    if (of(d)->requested && of(d)->itself)
        receive(d, frame);
    if (of(d)->requested)
        end(d, true);
}

static void failed(khs_device *d, const khs_can_error *error, bool is_sender)
{
    static const uint8_t kinds[] = {[KHS_CAN_BIT0] = 0x00, [KHS_CAN_BIT1] = 0x00, [KHS_CAN_FORM] = 0x40,
                                    [KHS_CAN_STUFF] = 0x80, [KHS_CAN_NO_ACK] = 0xc0};
    khs_sja1000 *s = of(d);
    if (!s->error_told)
        s->error_at = (uint8_t)(kinds[error->kind] | (is_sender ? 0 : ERROR_RECEIVING) | error->place);
    s->error_told = true;
    interrupt(d, INTERRUPT_BUS_ERROR);
    if (!is_sender)
        return;
    s->under_way = false;
    if (s->once)
        end(d, false);
}

static bool is_warned(khs_device *d)
{
    const khs_can *c = &d->state->can;
    return c->send_errors >= of(d)->warning || c->receive_errors >= of(d)->warning;
}

static void counted(khs_device *d)
{
    const khs_can *c = &d->state->can;
    bool passive = c->send_errors > 127 || c->receive_errors > 127;
    uint8_t level = (uint8_t)((is_warned(d) ? 1 : 0) | (c->is_off ? 2 : 0) | (passive ? 4 : 0));
    uint8_t changed = level ^ of(d)->level;
    of(d)->level = level;
    if (changed & 3)
        interrupt(d, INTERRUPT_ERRORS);
    if (changed & 4)
        interrupt(d, INTERRUPT_PASSIVE);
    set_line(d);
}


/* ------------------------------------------------------------ registers */

static void apply(khs_device *d)
{
    khs_sja1000 *s = of(d);
    uint32_t quanta = 2u * ((s->timing[0] & 63u) + 1) * (3u + (s->timing[1] & 15u) + (s->timing[1] >> 4 & 7u));
    khs_can_set_rate(d, CLOCK_HZ, quanta);
    d->state->can.needs_no_one = s->mode & MODE_SELF_TEST;
    khs_can_set(d, !is_reset(d), s->mode & MODE_LISTEN, false);
}

static void enter_reset(khs_device *d)
{
    khs_sja1000 *s = of(d);
    s->mode |= MODE_RESET;
    s->requested = s->under_way = s->overrun = false;
    s->start = s->fill = s->messages = 0;
    s->sent = true;
    s->interrupts = s->interrupts & (INTERRUPT_ERRORS | INTERRUPT_PASSIVE);
}

/* In reset mode until the driver leaves that; then 128 times 11 bits. */
static void off(khs_device *d)
{
    enter_reset(d);
    d->state->can.send_errors = 127;
    d->state->can.receive_errors = 0;
    apply(d);
}

const khs_can_calls khs_can_sja1000 = {ready, begun, lost, sent, failed, receive, counted, off};

/* 255 errors written in reset mode: bus-off at once. */
static void leave_reset(khs_device *d)
{
    khs_can *c = &d->state->can;
    bool was_off = c->is_off;
    of(d)->mode &= ~MODE_RESET;
    if (!was_off && c->send_errors == 255)
        khs_can_go_off(d);
    apply(d);
    if (was_off)
        khs_can_recover(d);
}

static void write_mode(khs_device *d, uint8_t value)
{
    khs_sja1000 *s = of(d);
    if (is_reset(d)) /* sleep is not modelled */
        s->mode = MODE_RESET | (value & (MODE_LISTEN | MODE_SELF_TEST | MODE_ONE_FILTER));
    if (value & MODE_RESET) {
        enter_reset(d);
        apply(d);
    } else if (is_reset(d)) {
        leave_reset(d);
    }
}

static void write_command(khs_device *d, uint8_t value)
{
    khs_sja1000 *s = of(d);
    if (is_reset(d))
        return;
    if (value & COMMAND_RELEASE)
        release(d);
    if (value & COMMAND_CLEAR_OVERRUN)
        s->overrun = false;
    if ((value & (COMMAND_SEND | COMMAND_SEND_SELF)) && !s->requested && !(s->mode & MODE_LISTEN)) {
        s->requested = true;
        s->sent = false;
        s->itself = value & COMMAND_SEND_SELF;
        s->once = value & COMMAND_ABORT;
        khs_can_go_on(d);
    } else if ((value & COMMAND_ABORT) && s->requested) {
        s->once = true;
        if (!s->under_way)
            end(d, false);
    }
}

static uint32_t read_status(khs_device *d)
{
    khs_sja1000 *s = of(d);
    const khs_can *c = &d->state->can;
    const khs_can_wire *w = khs_can_wire_of(d);
    bool busy = w->ends_at != KHS_AT_NO_TIME, own = s->under_way;
    return (s->messages > 0 ? STATUS_RECEIVED : 0u) | (s->overrun ? STATUS_OVERRUN : 0u) | (s->requested ? 0u : STATUS_FREE) |
           (s->sent ? STATUS_SENT : 0u) | (c->on && busy && !own ? STATUS_RECEIVES : 0u) | (own ? STATUS_SENDS : 0u) |
           (is_warned(d) ? STATUS_ERRORS : 0u) | (c->is_off ? STATUS_OFF : 0u);
}

static uint32_t read_interrupts(khs_device *d)
{
    uint8_t value = of(d)->interrupts;
    of(d)->interrupts = 0; /* set_line: what was received stays */
    return value;
}

static uint32_t read_buffer(khs_device *d, uint32_t offset)
{
    khs_sja1000 *s = of(d);
    if (!is_reset(d))
        return s->ram[(s->start + offset - BUFFER) % FIFO];
    return offset < MASK ? s->code[offset - CODE] : offset < MASK_END ? s->mask[offset - MASK] : 0;
}

/* Counts down to the end of bus-off. */
static uint32_t read_send_errors(const khs_can *c, uint32_t sequences)
{
    return c->is_off && c->recovers ? 127 - (sequences < 127 ? sequences : 127) : c->send_errors & 0xff;
}

static uint32_t read_register(khs_device *d, uint32_t offset)
{
    khs_sja1000 *s = of(d);
    switch (offset) {
    case MODE: return s->mode;
    case STATUS: return read_status(d);
    case INTERRUPT: return read_interrupts(d);
    case ENABLE: return s->enabled;
    case TIMING0: return s->timing[0];
    case TIMING1: return s->timing[1];
    case OUTPUT: return s->output;
    case LOST: s->lost_told = false; return s->lost_at;
    case ERROR: s->error_told = false; return s->error_at;
    case WARNING: return s->warning;
    case RECEIVE_ERRORS: return d->state->can.receive_errors & 0xff;
    case SEND_ERRORS: return read_send_errors(&d->state->can, khs_can_sequences(d));
    case MESSAGES: return s->messages;
    case START: return s->start;
    case DIVIDER: return s->divider;
    default: break;
    }
    if (offset >= BUFFER && offset < BUFFER_END)
        return read_buffer(d, offset);
    if (offset >= RAM && offset < RAM_END)
        return s->ram[offset - RAM];
    return offset >= SENT && offset < SENT_END ? s->to_send[offset - SENT] : 0;
}

/* Of a controller that is bus-off: less than 255 ends that. */
static void write_send_errors(khs_device *d, uint8_t value)
{
    khs_can *c = &d->state->can;
    if (c->is_off && value < 255)
        khs_can_forget_errors(d);
    if (!c->is_off)
        c->send_errors = value;
}

/* Those that are open in reset mode alone. */
static void set_up(khs_device *d, uint32_t offset, uint8_t value)
{
    khs_sja1000 *s = of(d);
    khs_can *c = &d->state->can;
    switch (offset) {
    case TIMING0: s->timing[0] = value; break;
    case TIMING1: s->timing[1] = value; break;
    case OUTPUT: s->output = value; break;
    case WARNING: s->warning = value; break;
    case RECEIVE_ERRORS: c->receive_errors = c->is_off ? c->receive_errors : value; break;
    case SEND_ERRORS: write_send_errors(d, value); break;
    case DIVIDER: s->divider = value; break;
    default:
        if (offset >= CODE && offset < MASK)
            s->code[offset - CODE] = value;
        else if (offset >= MASK && offset < MASK_END)
            s->mask[offset - MASK] = value;
    }
    counted(d);
    apply(d);
}

static void write_register(khs_device *d, uint32_t offset, uint8_t value)
{
    khs_sja1000 *s = of(d);
    if (offset == MODE)
        write_mode(d, value);
    else if (offset == COMMAND)
        write_command(d, value);
    else if (offset == ENABLE)
        s->enabled = value;
    else if (is_reset(d))
        set_up(d, offset, value);
    else if (offset >= BUFFER && offset < BUFFER_END && !s->requested)
        s->to_send[offset - BUFFER] = value;
}

static void reset(khs_device *d)
{
    khs_can_clear(d);
    khs_sja1000 *s = of(d);
    s->warning = 96;
    enter_reset(d);
    apply(d);
    set_line(d);
}

static uint32_t read_part(khs_device *d, uint32_t offset, uint32_t size)
{
    (void)size;
    uint32_t value = read_register(d, offset & 0x7f);
    set_line(d);
    return value;
}

static void write_part(khs_device *d, uint32_t offset, uint32_t size, uint32_t value)
{
    (void)size;
    write_register(d, offset & 0x7f, (uint8_t)value);
    set_line(d);
}

const khs_model khs_model_sja1000 = {.widest = 1, .record = KHS_CAN_RECORD, .reset = reset, .read = read_part, .write = write_part, .advance = khs_can_advance, .input = khs_can_input, .is_prompt = true};
