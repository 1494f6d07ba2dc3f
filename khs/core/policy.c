/* The policy enforcement point, and policies replaced in a running system. */
#include "ring.h"

kss_policy *khs_policy(khs_core *core)
{
    return &core->policy[core->state->policy_active];
}

khs_subject khs_subject_of(const khs_core *core, uint32_t partition)
{
    uint32_t slot = core->state->policy_active, count = core->cfg->partitions.count;
    return (khs_subject){core->classes[slot * count + partition], core->partitions[partition].sid, partition};
}

khs_subject khs_kernel(const khs_core *core)
{
    const khs_state *s = core->state;
    return (khs_subject){s->kernel_class[s->policy_active], s->kernel_sid, KHS_NONE};
}

khs_subject khs_einit(const khs_core *core)
{
    const khs_state *s = core->state;
    return (khs_subject){s->einit_class[s->policy_active], s->einit_sid, KHS_NONE};
}

static uint64_t pair(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

static void record(khs_core *core, const kss_event *event, kss_verdict verdict, uint32_t from, uint32_t to)
{
    uint64_t arg[KHS_V_ARGS] = {
        [KHS_V_KIND] = pair(event->kind | (event->trial ? KHS_V_TRIAL : 0u), (uint32_t)core->state->policy_seq),
        [KHS_V_CLASSES] = pair(event->src_class, event->dst_class),
        [KHS_V_SIDS] = pair(event->src_sid, event->dst_sid),
        [KHS_V_RULE] = pair(verdict.rule, verdict.calls),
        [KHS_V_PARTITIONS] = pair(from, to),
    };
    khs_record entry = {.type = KHS_EV_VERDICT, .code = verdict.reason, .value = verdict.granted,
                        .args = KHS_V_ARGS, .arg = arg, .data = event->message, .size = event->message_size};
    if (verdict.granted)
        khs_append(core, from, &entry);
    else
        khs_emit(core, from, &entry);
}

/* What the policy's audit profiles have recorded of the event, for the trail that the host keeps. */
static void audit(khs_core *core, kss_verdict verdict, uint32_t partition)
{
    kss_record found;
    if (!kss_audit(khs_policy(core), verdict, &found))
        return;
    khs_emit(core, partition,
             &(khs_record){.type = KHS_EV_AUDIT, .code = found.level, .value = found.count,
                           .data = found.calls,
                           .size = (uint32_t)(khs_min(found.count, KHS_AUDIT_CALLS) * sizeof *found.calls)});
}

/* `from` and `to` are KHS_NONE for the kernel and Einit. */
static bool judge(khs_core *core, const kss_event *event, uint32_t from, uint32_t to)
{
    kss_verdict verdict = kss_judge(khs_policy(core), event);
    record(core, event, verdict, from, to);
    audit(core, verdict, from);
    if (from != KHS_NONE)
        *(verdict.granted ? &core->partitions[from].granted : &core->partitions[from].denied) += 1;
    return verdict.granted;
}

static kss_event event_of(enum kss_kind kind, khs_subject src, khs_subject dst, const uint8_t *message, uint32_t size)
{
    return (kss_event){.kind = kind, .src_class = src.class_number, .dst_class = dst.class_number, .src_sid = src.sid,
                       .dst_sid = dst.sid, .message = message, .message_size = size};
}

/* Asks KSS; nothing has happened yet, and nothing happens if the answer is false. */
bool khs_judge(khs_core *core, enum kss_kind kind, khs_subject src, khs_subject dst,
               uint32_t released_sid, const uint8_t *message, uint32_t size)
{
    kss_event event = event_of(kind, src, dst, message, size);
    event.released_sid = released_sid;
    return judge(core, &event, src.partition, dst.partition);
}

/* Asks KSS about a message between partitions. One that cannot be delivered is judged all
 * the same, so that who is denied learns nothing else, but moves no state. */
bool khs_judge_message(khs_core *core, enum kss_kind kind, uint32_t from, uint32_t to,
                       const uint8_t *message, uint32_t size, bool deliverable)
{
    kss_event event = event_of(kind, khs_subject_of(core, from), khs_subject_of(core, to), message, size);
    event.trial = !deliverable;
    return judge(core, &event, from, to);
}

/* The same about a request to the kernel itself. */
bool khs_judge_service(khs_core *core, uint32_t from, const uint8_t *message, uint32_t size, bool possible)
{
    kss_event event = event_of(KSS_REQUEST, khs_subject_of(core, from), khs_kernel(core), message, size);
    event.trial = !possible;
    return judge(core, &event, from, KHS_NONE);
}

/* Every class of the system must be known to the policy, or it cannot judge it. */
static bool resolve(khs_core *core, uint32_t slot)
{
    khs_state *s = core->state;
    const kss_policy *policy = &core->policy[slot];
    s->kernel_class[slot] = kss_find_class(policy, core->cfg->kernel_class);
    s->einit_class[slot] = kss_find_class(policy, core->cfg->einit_class);
    bool known = s->kernel_class[slot] != KSS_NO_CLASS && s->einit_class[slot] != KSS_NO_CLASS;
    uint32_t count = core->cfg->partitions.count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = kss_find_class(policy, core->cfg_partitions[i].class_hash);
        core->classes[slot * count + i] = number;
        known = known && number != KSS_NO_CLASS;
    }
    return known;
}

/* Where the image of a slot lies: in the archive, or in the buffer for passed ones. */
static const void *image_of(khs_core *core, uint32_t slot, size_t *size)
{
    uint32_t number = core->state->policy_number[slot];
    if (number != KHS_NONE)
        return khs_port_policy(core->port, number, size);
    *size = core->state->policy_size[slot];
    return core->policy_image[slot];
}

/* Verifies policy `number` of the archive (KHS_NONE: the `size` bytes in the slot's own
 * buffer) into `slot` and resets the slot's state. */
khs_status khs_policy_load(khs_core *core, uint32_t slot, uint32_t number, uint32_t size)
{
    size_t bytes;
    core->state->policy_number[slot] = number;
    core->state->policy_size[slot] = size;
    const void *image = image_of(core, slot, &bytes);
    if (image == NULL || kss_verify(image, bytes, NULL) != KSS_OK)
        return KHS_BAD_POLICY_IMAGE;
    if (kss_state_size(image) > core->cfg->policy_state ||
        kss_init(&core->policy[slot], image, bytes, core->policy_state[slot], core->cfg->policy_state) != KSS_OK)
        return KHS_NO_MEMORY;
    return resolve(core, slot) ? KHS_OK_STATUS : KHS_BAD_POLICY_CLASS;
}

/* Binds the slots again after the state block was restored. */
static void rebind(khs_core *core, uint32_t slot)
{
    size_t bytes;
    const void *image = image_of(core, slot, &bytes);
    if (image != NULL && bytes != 0)
        kss_bind(&core->policy[slot], image, bytes, core->policy_state[slot]);
}

void khs_rebind(khs_core *core)
{
    const khs_state *s = core->state;
    rebind(core, s->policy_active);
    if (s->policy_pending)
        rebind(core, 1 - s->policy_active);
    core->ring_used = 0;
}

/* Tells why the policy in `slot` is refused. */
static void refused(khs_core *core, uint32_t slot, khs_status status)
{
    size_t bytes;
    uint64_t arg[] = {status, 0, 0};
    if (status == KHS_NO_MEMORY) {
        arg[1] = kss_state_size(image_of(core, slot, &bytes));
        arg[2] = core->cfg->policy_state;
    }
    khs_emit(core, KHS_NONE,
             &(khs_record){.type = KHS_EV_POLICY, .code = core->state->policy_number[slot], .value = KHS_NONE,
                           .args = 3, .arg = arg});
}

/* Prepares a swap for the next frame boundary. The last request before it counts: if that
 * is a bad policy, the one in force stays. */
bool khs_policy_request(khs_core *core, uint32_t number, uint32_t size)
{
    khs_state *s = core->state;
    uint32_t slot = 1 - s->policy_active;
    khs_status status = khs_policy_load(core, slot, number, size);
    s->policy_pending = status == KHS_OK_STATUS;
    if (status != KHS_OK_STATUS)
        refused(core, slot, status);
    return status == KHS_OK_STATUS;
}

/* Takes over what the objects of the new policy can keep. A bit for each that did is left in
 * the scratch buffer, as far as it goes; returns their number. */
static uint32_t migrate(khs_core *core, uint32_t slot)
{
    kss_policy *from = khs_policy(core), *to = &core->policy[slot];
    uint32_t kept = 0;
    khs_zero(core->scratch, core->cfg->max_message);
    for (uint32_t i = 0; i < kss_objects(to); i++) {
        if (!kss_migrate_object(to, i, from))
            continue;
        kept++;
        if (i / 8u < core->cfg->max_message)
            core->scratch[i / 8u] |= (uint8_t)(1u << i % 8u);
    }
    return kept;
}

void khs_policy_apply(khs_core *core)
{
    khs_state *s = core->state;
    uint32_t slot = 1 - s->policy_active, kept = migrate(core, slot);
    s->policy_active = slot;
    s->policy_pending = 0;
    s->policy_seq++;
    uint64_t objects = kss_objects(khs_policy(core)), arg[] = {s->policy_seq, objects};
    khs_emit(core, KHS_NONE,
             &(khs_record){.type = KHS_EV_POLICY, .code = s->policy_number[slot], .value = kept, .args = 2, .arg = arg,
                           .data = core->scratch,
                           .size = (uint32_t)khs_min((objects + 7u) / 8u, core->cfg->max_message)});
}
