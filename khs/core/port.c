/* Sampling and queuing ports (ARINC 653 part 1, 2.3.5.6). Each reader has its own copy:
 * the policy may grant a message to one and deny it to another. Inputs from outside
 * the system use the same queues. */
#include "internal.h"

static khs_queue *reader_queue(const khs_core *core, uint32_t reader)
{
    return (khs_queue *)(core->base + core->reader_at[reader]);
}

static khs_queue *input_queue(const khs_core *core, uint32_t input)
{
    return (khs_queue *)(core->base + core->input_at[input]);
}

/* Item `index` of a queue whose messages have at most `size` bytes. */
static khs_item *item(khs_queue *queue, uint32_t size, uint32_t index)
{
    return (khs_item *)((uint8_t *)(queue + 1) + khs_item_stride(size) * index);
}

static uint8_t *item_data(khs_item *it)
{
    return (uint8_t *)(it + 1);
}

static bool push(khs_queue *queue, uint32_t size, uint32_t depth, const uint8_t *data, uint32_t length)
{
    if (queue->fill == depth) {
        queue->overflows++;
        return false;
    }
    khs_item *it = item(queue, size, (queue->head + queue->fill) % depth);
    it->length = length;
    khs_copy(item_data(it), data, length);
    queue->fill++;
    return true;
}

static void pop(khs_queue *queue, uint32_t depth)
{
    queue->head = (queue->head + 1) % depth;
    queue->fill--;
}

/* Moves the oldest item to the guest: an outcome for the caller or for its wake-up. */
static khs_outcome take(khs_core *core, uint32_t self, khs_queue *queue, uint32_t size, uint32_t depth,
                        uint64_t buffer, uint32_t capacity)
{
    khs_item *it = item(queue, size, queue->head);
    if (it->length > capacity)
        return khs_done(KHS_CODE_BAD_LENGTH);
    khs_copy(khs_span(core, self, buffer, it->length, KHS_W), item_data(it), it->length);
    khs_outcome outcome = khs_delivered(it->length, item_data(it));
    pop(queue, depth);
    return outcome;
}

/* Serves a partition that waits for this queue. */
static void serve(khs_core *core, uint32_t partition, khs_queue *queue, uint32_t size, uint32_t depth)
{
    khs_waiting wait = core->partitions[partition].wait;
    khs_outcome outcome = take(core, partition, queue, size, depth, wait.buffer, wait.capacity);
    khs_wake(core, partition, &outcome);
}

static void reset(khs_queue *queue)
{
    *queue = (khs_queue){0};
}

/* A restart: queuing inputs are emptied (semantics: "Partitions and restart"). */
void khs_queues_empty(khs_core *core, uint32_t partition)
{
    for (uint32_t i = 0; i < core->cfg->readers.count; i++) {
        const khs_cfg_reader *reader = &core->cfg_readers[i];
        if (reader->partition == partition && core->cfg_channels[reader->channel].kind == KHS_QUEUING)
            reset(reader_queue(core, i));
    }
    khs_slice inputs = core->cfg_partitions[partition].inputs;
    for (uint32_t i = inputs.first; i < inputs.first + inputs.count; i++)
        reset(input_queue(core, i));
}

/* The channel behind port `number` if it has this kind and direction. */
static uint32_t find(const khs_core *core, uint32_t self, uint64_t number, uint32_t kind,
                     uint32_t direction, const khs_cfg_port **port)
{
    khs_slice ports = core->cfg_partitions[self].ports;
    if (number >= ports.count)
        return KHS_CODE_INVALID_PARAM;
    *port = &core->cfg_ports[ports.first + (uint32_t)number];
    bool right = core->cfg_channels[(*port)->channel].kind == kind && (*port)->direction == direction;
    return right ? KHS_CODE_OK : KHS_CODE_INVALID_CONFIG;
}

/* Gives the message in scratch to one reader, who has room for it. */
static void deliver(khs_core *core, uint32_t index, uint32_t length)
{
    const khs_cfg_reader *reader = &core->cfg_readers[index];
    const khs_cfg_channel *channel = &core->cfg_channels[reader->channel];
    khs_queue *queue = reader_queue(core, index);
    if (channel->kind == KHS_SAMPLING) {
        queue->fill = 0;
        queue->written_at = core->state->now;
        push(queue, channel->message_size, 1, core->scratch, length);
        return;
    }
    push(queue, channel->message_size, channel->depth, core->scratch, length);
    const khs_waiting *wait = &core->partitions[reader->partition].wait;
    if (wait->kind == WAIT_RECEIVE) {
        khs_slice ports = core->cfg_partitions[reader->partition].ports;
        if (core->cfg_ports[ports.first + wait->port].reader == index)
            serve(core, reader->partition, queue, channel->message_size, channel->depth);
    }
}

static bool has_room(const khs_core *core, uint32_t index, const khs_cfg_channel *channel)
{
    return channel->kind == KHS_SAMPLING || reader_queue(core, index)->fill < channel->depth;
}

/* One event per reader; the value says who got it, the code why not all did. Readers that
 * are stopped are treated like others (their start empties their queues): a writer learns
 * nothing of the state of a partition that has no channel to it. */
static khs_outcome write(khs_core *core, uint32_t self, const uint64_t *a, uint32_t kind)
{
    const khs_cfg_port *port;
    uint32_t length = (uint32_t)a[2];
    uint32_t code = find(core, self, a[0], kind, KHS_SOURCE, &port);
    if (code != KHS_CODE_OK)
        return khs_done(code);
    const khs_cfg_channel *channel = &core->cfg_channels[port->channel];
    if (length < sizeof(kss_header) || length > channel->message_size)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *from = khs_span(core, self, a[1], length, KHS_R);
    if (from == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_copy(core->scratch, from, length);
    khs_outcome outcome = {.copied = length};
    uint32_t denied = 0;
    for (uint32_t i = 0; i < channel->readers.count; i++) {
        uint32_t index = channel->readers.first + i;
        const khs_cfg_reader *reader = &core->cfg_readers[index];
        /* the channel, not the writer, says what the message is */
        *(kss_header *)core->scratch = (kss_header){reader->riid, (uint16_t)channel->mid, KSS_IN};
        outcome.verdicts++;
        bool room = has_room(core, index, channel);
        if (!khs_judge_message(core, KSS_REQUEST, self, reader->partition, core->scratch, length, room)) {
            denied++;
        } else if (!room) {
            reader_queue(core, index)->overflows++;
        } else {
            deliver(core, index, length);
            outcome.value |= 1u << i;
        }
    }
    uint32_t all = (uint32_t)((1ull << channel->readers.count) - 1u);
    if (outcome.value == all)
        outcome.code = KHS_CODE_OK;
    else if (outcome.value != 0)
        outcome.code = KHS_CODE_PARTIAL;
    else
        outcome.code = denied == channel->readers.count ? KHS_CODE_DENIED : KHS_CODE_NOT_AVAILABLE;
    return outcome;
}

khs_outcome khs_do_port_write(khs_core *core, uint32_t self, const uint64_t *a)
{
    return write(core, self, a, KHS_SAMPLING);
}

khs_outcome khs_do_port_send(khs_core *core, uint32_t self, const uint64_t *a)
{
    return write(core, self, a, KHS_QUEUING);
}

khs_outcome khs_do_port_read(khs_core *core, uint32_t self, const uint64_t *a)
{
    const khs_cfg_port *port;
    uint32_t code = find(core, self, a[0], KHS_SAMPLING, KHS_DESTINATION, &port);
    if (code != KHS_CODE_OK)
        return khs_done(code);
    const khs_cfg_channel *channel = &core->cfg_channels[port->channel];
    khs_queue *queue = reader_queue(core, port->reader);
    uint8_t *to = khs_span(core, self, a[1], (uint32_t)a[2], KHS_W);
    if (to == NULL || khs_span(core, self, a[3], sizeof(struct khs_port_info), KHS_W) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    if (queue->fill == 0)
        return khs_done(KHS_CODE_NOT_AVAILABLE);
    khs_item *it = item(queue, channel->message_size, 0);
    if (it->length > (uint32_t)a[2])
        return khs_done(KHS_CODE_BAD_LENGTH);
    uint64_t age = core->state->now - queue->written_at;
    struct khs_port_info info = {.length = it->length,
                                 .valid = channel->refresh == 0 || age <= channel->refresh,
                                 .age_ns = khs_ns(core, age)};
    khs_outcome outcome = khs_delivered(it->length, item_data(it));
    khs_copy(to, item_data(it), it->length);
    khs_tell(core, self, a[3], &info, sizeof info, &outcome);
    return outcome;
}

/* Takes from a queue, or says how to wait for it. */
static khs_outcome receive(khs_core *core, uint32_t self, khs_queue *queue, uint32_t size, uint32_t depth,
                           uint32_t wait_kind, const uint64_t *a)
{
    if (khs_span(core, self, a[1], (uint32_t)a[2], KHS_W) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    if (queue->fill != 0)
        return take(core, self, queue, size, depth, a[1], (uint32_t)a[2]);
    if ((uint32_t)a[3] == 0)
        return khs_done(KHS_CODE_NOT_AVAILABLE);
    return khs_block(core, self, (khs_waiting){.kind = wait_kind, .port = (uint32_t)a[0], .buffer = a[1],
                                               .capacity = (uint32_t)a[2],
                                               .until = core->state->now + khs_us(core, (uint32_t)a[3])});
}

khs_outcome khs_do_port_receive(khs_core *core, uint32_t self, const uint64_t *a)
{
    const khs_cfg_port *port;
    uint32_t code = find(core, self, a[0], KHS_QUEUING, KHS_DESTINATION, &port);
    if (code != KHS_CODE_OK)
        return khs_done(code);
    const khs_cfg_channel *channel = &core->cfg_channels[port->channel];
    return receive(core, self, reader_queue(core, port->reader), channel->message_size, channel->depth,
                   WAIT_RECEIVE, a);
}

khs_outcome khs_do_input_receive(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_slice inputs = core->cfg_partitions[self].inputs;
    if (a[0] >= inputs.count)
        return khs_done(KHS_CODE_INVALID_PARAM);
    uint32_t index = inputs.first + (uint32_t)a[0];
    const khs_cfg_input *cfg = &core->cfg_inputs[index];
    return receive(core, self, input_queue(core, index), cfg->capacity, cfg->depth, WAIT_INPUT, a);
}

/* Bytes from outside. What does not fit is an event and a health error, never a silent loss. */
void khs_input_arrived(khs_core *core, const khs_input *input)
{
    const khs_cfg_input *cfg = &core->cfg_inputs[input->target];
    khs_queue *queue = input_queue(core, input->target);
    uint32_t partition = cfg->partition;
    bool fits = input->size <= cfg->capacity && core->partitions[partition].mode != KHS_MODE_IDLE &&
                push(queue, cfg->capacity, cfg->depth, input->data, input->size);
    uint32_t shown = (uint32_t)khs_min(input->size, cfg->capacity);
    khs_emit(core, partition,
             &(khs_record){.type = KHS_EV_INPUT, .code = input->target, .value = !fits, .data = input->data,
                           .size = shown});
    const khs_waiting *wait = &core->partitions[partition].wait;
    if (!fits && core->partitions[partition].mode != KHS_MODE_IDLE)
        khs_health(core, partition, KHS_ERROR_INPUT_OVERFLOW,
                   input->target - core->cfg_partitions[partition].inputs.first, NULL, 0);
    else if (fits && wait->kind == WAIT_INPUT &&
             core->cfg_partitions[partition].inputs.first + wait->port == input->target)
        serve(core, partition, queue, cfg->capacity, cfg->depth);
    else if (fits)
        khs_interrupt_raise(core, partition, KHS_IRQ_INPUT);
}

khs_outcome khs_do_port_status(khs_core *core, uint32_t self, const uint64_t *a)
{
    khs_slice ports = core->cfg_partitions[self].ports;
    if (a[0] >= ports.count)
        return khs_done(KHS_CODE_INVALID_PARAM);
    const khs_cfg_port *port = &core->cfg_ports[ports.first + (uint32_t)a[0]];
    const khs_cfg_channel *channel = &core->cfg_channels[port->channel];
    struct khs_port_status status = {.kind = channel->kind, .direction = port->direction,
                                     .message_size = channel->message_size, .depth = channel->depth};
    if (port->direction == KHS_DESTINATION && channel->kind != KHS_CALLS) {
        const khs_queue *queue = reader_queue(core, port->reader);
        status.fill = queue->fill;
        status.overflows = queue->overflows;
    }
    return khs_told(core, self, a[1], &status, sizeof status);
}
