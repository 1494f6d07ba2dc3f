/* What must hold after every step, and of every event. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(condition, ...) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            die(__VA_ARGS__); \
        } \
    } while (0)

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

void audit_begin(audit *a, const fake_host *host)
{
    uint32_t count = host->config->partitions.count;
    uint64_t **lists[] = {&a->local, &a->visible, &a->granted, &a->denied, &a->hypercalls, &a->faults, &a->past};
    *a = (audit){.host = host, .hash = 0xcbf29ce484222325u};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        *lists[i] = allocate(count * sizeof(uint64_t));
}

void audit_end(audit *a)
{
    uint64_t *lists[] = {a->local, a->visible, a->granted, a->denied, a->hypercalls, a->faults, a->past};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        free(lists[i]);
}

void audit_copy(audit *to, const audit *from)
{
    size_t size = from->host->config->partitions.count * sizeof(uint64_t);
    audit copy = *from;
    uint64_t **into[] = {&copy.local, &copy.visible, &copy.granted, &copy.denied, &copy.hypercalls, &copy.faults, &copy.past};
    uint64_t *lists[] = {to->local, to->visible, to->granted, to->denied, to->hypercalls, to->faults, to->past};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        memcpy(lists[i], *into[i], size);
        *into[i] = lists[i];
    }
    *to = copy;
}

/* ------------------------------------------------------------ time */

/* Ticks of the partition's windows in the first `ticks` of a schedule. */
static uint64_t in_windows(const khs_core *core, uint32_t schedule, uint32_t partition, uint64_t ticks)
{
    const khs_cfg_schedule *plan = &core->cfg_schedules[schedule];
    uint64_t whole = ticks / plan->major_frame, rest = ticks % plan->major_frame, sum = 0;
    for (uint32_t i = 0; i < plan->windows.count; i++) {
        const khs_cfg_window *w = &core->cfg_windows[plan->windows.first + i];
        if (w->partition != partition)
            continue;
        sum += whole * w->length;
        if (rest > w->start)
            sum += khs_min(rest - w->start, w->length);
    }
    return sum;
}

static void schedule_switched(audit *a, const khs_event *event)
{
    const khs_core *core = a->host->core;
    CHECK((event->tick - a->since) % core->cfg_schedules[a->schedule].major_frame == 0, "switch inside a frame");
    CHECK(event->value == a->schedule, "switch from schedule %u", event->value);
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++)
        a->past[i] += in_windows(core, a->schedule, i, event->tick - a->since);
    a->schedule = event->code;
    a->since = event->tick;
}

/* ------------------------------------------------------------ events */

static void audit_verdict(audit *a, const khs_event *event, const uint64_t *arg)
{
    uint32_t source = (uint32_t)arg[KHS_V_PARTITIONS];
    CHECK(event->args == KHS_V_ARGS, "verdict with %u arguments", event->args);
    CHECK(event->value <= 1, "verdict %u", event->value);
    CHECK(source == KHS_NONE ? event->partition == KHS_MODULE : event->partition == source, "verdict's partition");
    if (source != KHS_NONE)
        (event->value ? a->granted : a->denied)[source]++;
}

/* What is recorded of a verdict comes right behind it, and always if no rule decided. */
static void audit_record(audit *a, const khs_event *event)
{
    bool always = a->reason == KSS_BY_DEFAULT || a->reason == KSS_MALFORMED;
    if (event->type == KHS_EV_AUDIT) {
        CHECK(a->judged, "an audit record without its verdict");
        CHECK(event->code <= 255 && always == !event->value, "%u calls recorded at level %u", event->value, event->code);
        CHECK(event->data == khs_min(event->value, KHS_AUDIT_CALLS) * sizeof(kss_audited), "calls recorded");
    } else {
        CHECK(!a->judged || !always, "a denial by no rule is not recorded");
    }
    a->judged = event->type == KHS_EV_VERDICT;
    a->reason = event->code;
}

static void audit_event(audit *a, const khs_event *event)
{
    const uint64_t *arg = (const uint64_t *)(event + 1);
    uint32_t p = event->partition;
    CHECK(event->tick >= a->tick, "time runs backwards");
    a->tick = event->tick;
    a->events++;
    CHECK(event->type >= KHS_EV_BOOT && event->type <= KHS_EV_AUDIT, "type %u", event->type);
    a->types[event->type]++;
    audit_record(a, event);
    if (p == KHS_MODULE) {
        CHECK(!(event->flags & KHS_VISIBLE) && event->local == 0, "the module is no partition");
    } else {
        CHECK(p < a->host->config->partitions.count, "partition %u", p);
        CHECK(event->local >= a->local[p], "local time runs backwards");
        a->local[p] = event->local;
        if (event->flags & KHS_VISIBLE)
            a->visible[p] = hash_bytes(a->visible[p], (const uint8_t *)event + KHS_EVENT_MODULE_BYTES,
                                       event->size - KHS_EVENT_MODULE_BYTES);
    }
    switch (event->type) {
    case KHS_EV_VERDICT:
        audit_verdict(a, event, arg);
        break;
    case KHS_EV_SCHEDULE:
        schedule_switched(a, event);
        break;
    case KHS_EV_FAULT:
        a->faults[p]++;
        break;
    case KHS_EV_HYPERCALL:
    case KHS_EV_RESUME: {
        uint32_t number = (uint32_t)khs_min(event->number, KHS_HYPERCALLS);
        CHECK(event->code < KHS_CODES || event->code == KHS_NONE, "code %u", event->code);
        CHECK((number == KHS_HYPERCALLS) == (event->code == KHS_CODE_UNKNOWN) || event->type == KHS_EV_RESUME,
              "hypercall %u gives %u", event->number, event->code);
        if (event->code == KHS_NONE)
            a->blocked[number]++;
        else
            a->reached[number][event->code]++;
        a->hypercalls[p] += event->type == KHS_EV_HYPERCALL;
        break;
    }
    default:
        break;
    }
}

void audit_events(audit *a, const uint8_t *records, size_t size)
{
    a->hash = hash_bytes(a->hash, records, size);
    for (size_t at = 0; at < size;) {
        const khs_event *event = (const khs_event *)(records + at);
        CHECK(size - at >= sizeof *event && event->size <= size - at && event->size % 8 == 0, "record cut short");
        size_t body = sizeof *event + event->args * 8u + (size_t)event->data;
        CHECK(event->args <= KHS_EVENT_ARGS_MAX && body <= event->size && event->size - body < 8, "record's size");
        for (size_t i = body; i < event->size; i++)
            CHECK(records[at + i] == 0, "padding");
        audit_event(a, event);
        at += event->size;
    }
}

/* ------------------------------------------------------------ state */

static void audit_queue(const uint8_t *base, uint64_t at, uint32_t message, uint32_t depth)
{
    const khs_queue *queue = (const khs_queue *)(base + at);
    CHECK(queue->fill <= depth, "queue holds %u of %u", queue->fill, depth);
    CHECK(queue->head < depth || queue->head == 0, "queue's head");
    for (uint32_t i = 0; i < queue->fill; i++) {
        const khs_item *it = (const khs_item *)((const uint8_t *)(queue + 1) +
                                                khs_item_stride(message) * ((queue->head + i) % depth));
        CHECK(it->length <= message, "message of %u bytes in a port of %u", it->length, message);
    }
}

static void audit_queues(const khs_core *core)
{
    for (uint32_t i = 0; i < core->cfg->readers.count; i++) {
        const khs_cfg_channel *channel = &core->cfg_channels[core->cfg_readers[i].channel];
        uint32_t depth = channel->kind == KHS_QUEUING ? channel->depth : channel->kind == KHS_SAMPLING;
        audit_queue(core->base, core->reader_at[i], channel->message_size, depth);
    }
    for (uint32_t i = 0; i < core->cfg->inputs.count; i++)
        audit_queue(core->base, core->input_at[i], core->cfg_inputs[i].capacity, core->cfg_inputs[i].depth);
}

/* Who waits for whom must end somewhere. */
static void audit_calls(const khs_core *core, uint32_t partition)
{
    uint32_t at = partition, count = core->cfg->partitions.count;
    for (uint32_t steps = 0; core->partitions[at].call.stage != CALL_NONE; steps++) {
        CHECK(steps < count, "partitions wait for each other");
        at = core->cfg_readers[core->partitions[at].call.reader].partition;
        CHECK(core->partitions[at].mode != KHS_MODE_IDLE, "a call to a stopped partition");
    }
}

static void audit_partition(const khs_core *core, uint32_t index)
{
    const khs_partition *p = &core->partitions[index];
    const khs_state *s = core->state;
    CHECK(p->mode <= KHS_MODE_NORMAL, "mode %u", p->mode);
    CHECK((p->mode == KHS_MODE_IDLE) == (p->sid == 0), "mode %u with SID %u", p->mode, p->sid);
    CHECK(p->sid < s->next_sid, "SID %u is not given yet", p->sid);
    CHECK(p->sid == 0 || (p->sid != s->kernel_sid && p->sid != s->einit_sid), "the kernel's SID");
    for (uint32_t i = 0; i < index; i++)
        CHECK(p->sid == 0 || p->sid != core->partitions[i].sid, "SID %u twice", p->sid);
    CHECK(p->wait.kind == WAIT_NONE || p->mode != KHS_MODE_IDLE, "a stopped partition waits");
    CHECK((p->call.stage != CALL_NONE) == (p->wait.kind == WAIT_CALL), "call stage %u, wait %u", p->call.stage,
          p->wait.kind);
    CHECK(p->call.stage == CALL_NONE || p->call.policy_seq <= s->policy_seq, "policy of a call");
    CHECK(!p->in_handler || p->mode != KHS_MODE_IDLE, "a stopped partition handles an interrupt");
    uint64_t due = khs_min(khs_min(p->wait.until, p->timer_at), khs_min(p->release_at, p->deadline_at));
    CHECK(s->next_due <= due || s->stop_cause, "tick %llu would be missed", (unsigned long long)due);
    CHECK(p->deadline_at == KHS_NEVER || p->mode == KHS_MODE_NORMAL, "a deadline in mode %u", p->mode);
    CHECK(p->mode != KHS_MODE_IDLE || (p->timer_at == KHS_NEVER && p->release_at == KHS_NEVER), "timers run on");
}

void audit_state(const fake_host *host)
{
    const khs_core *core = host->core;
    const khs_state *s = core->state;
    CHECK(core->ring_used <= core->ring_size, "ring");
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++) {
        audit_partition(core, i);
        audit_calls(core, i);
    }
    audit_queues(core);
    CHECK(s->now <= s->slot_end || s->stop_cause, "the window is over");
    CHECK(s->schedule < core->cfg->schedules.count && s->next_schedule < core->cfg->schedules.count, "schedule");
}

void audit_counters(const audit *a)
{
    const khs_core *core = a->host->core;
    uint64_t now = khs_now(core);
    CHECK(core->ring_used == 0, "not drained");
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++) {
        khs_partition_view view;
        khs_view(core, i, &view);
        uint64_t windows = a->past[i] + in_windows(core, a->schedule, i, now - a->since);
        CHECK(view.ticks + view.idle_ticks == windows, "partition %u: %llu + %llu ticks in windows of %llu", i,
              (unsigned long long)view.ticks, (unsigned long long)view.idle_ticks, (unsigned long long)windows);
        CHECK(view.granted == a->granted[i] && view.denied == a->denied[i], "partition %u: verdicts", i);
        CHECK(view.hypercalls == a->hypercalls[i], "partition %u: hypercalls", i);
        CHECK(view.faults == a->faults[i], "partition %u: faults", i);
    }
}
