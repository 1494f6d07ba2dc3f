/* Synchronous calls (KasperskyOS Call/Recv/Reply): one outstanding call a client, first
 * come first served at the server, each message copied once into a kernel buffer. */
#include "internal.h"

static uint32_t server_of(const khs_core *core, const khs_outgoing *call)
{
    return core->cfg_readers[call->reader].partition;
}

static kss_header *header(uint8_t *message)
{
    return (kss_header *)message;
}

/* The server's own number for the port of a call channel. */
static uint32_t server_port(const khs_core *core, uint32_t server, uint32_t reader)
{
    khs_slice ports = core->cfg_partitions[server].ports;
    for (uint32_t i = 0; i < ports.count; i++)
        if (core->cfg_ports[ports.first + i].reader == reader)
            return i;
    return KHS_NONE;
}

static void end_call(khs_core *core, uint32_t client, uint32_t code)
{
    khs_outgoing *call = &core->partitions[client].call;
    call->stage = CALL_NONE;
    call->generation++;
    call->ended_by = code;
}

/* Ends a wait with an error code; a call that waits is withdrawn. */
void khs_wait_end(khs_core *core, uint32_t partition, uint32_t code)
{
    if (core->partitions[partition].wait.kind == WAIT_CALL)
        end_call(core, partition, code);
    khs_wake_with(core, partition, code);
}

/* A restart or stop: calls in flight on either side end with PEER_RESTARTED. */
void khs_calls_end(khs_core *core, uint32_t partition)
{
    if (core->partitions[partition].call.stage != CALL_NONE)
        end_call(core, partition, KHS_CODE_PEER_RESTARTED);
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++) {
        khs_outgoing *call = &core->partitions[i].call;
        if (call->stage != CALL_NONE && server_of(core, call) == partition)
            khs_wait_end(core, i, KHS_CODE_PEER_RESTARTED);
    }
}

/* Would `client` waiting for `server` close a cycle? Follows who waits for whom. */
static bool closes_cycle(const khs_core *core, uint32_t client, uint32_t server)
{
    uint32_t at = server;
    for (uint32_t i = 0; i <= core->cfg->partitions.count; i++) {
        if (at == client)
            return true;
        if (core->partitions[at].call.stage == CALL_NONE)
            return false;
        at = server_of(core, &core->partitions[at].call);
    }
    return true;
}

static uint32_t oldest_client(const khs_core *core, uint32_t server)
{
    uint32_t found = KHS_NONE;
    uint64_t order = KHS_NEVER;
    for (uint32_t i = 0; i < core->cfg->partitions.count; i++) {
        const khs_outgoing *call = &core->partitions[i].call;
        if (call->stage == CALL_QUEUED && server_of(core, call) == server && call->order < order) {
            found = i;
            order = call->order;
        }
    }
    return found;
}

/* A call granted under an older policy is judged again before anyone sees it. */
static bool still_granted(khs_core *core, uint32_t client, uint32_t server, uint32_t *verdicts)
{
    khs_outgoing *call = &core->partitions[client].call;
    if (call->policy_seq == core->state->policy_seq)
        return true;
    call->policy_seq = core->state->policy_seq;
    (*verdicts)++;
    return khs_judge_message(core, KSS_REQUEST, client, server, core->base + core->call_at[client],
                             call->length, true);
}

/* Hands the oldest request to the server, whose addresses were checked before. Returns
 * false if there is none; it stays where it is if the server's buffer does not hold it. */
static bool take_request(khs_core *core, uint32_t server, const khs_waiting *wait, khs_outcome *outcome)
{
    for (;;) {
        uint32_t client = oldest_client(core, server);
        if (client == KHS_NONE)
            return false;
        if (!still_granted(core, client, server, &outcome->verdicts)) {
            khs_wait_end(core, client, KHS_CODE_DENIED);
            continue;
        }
        khs_outgoing *call = &core->partitions[client].call;
        if (call->length > wait->capacity) {
            outcome->code = KHS_CODE_BAD_LENGTH;
            return true;
        }
        uint8_t *message = core->base + core->call_at[client];
        outcome->value = outcome->copied = call->length;
        outcome->data = message;
        struct khs_recv_info info = {
            .token = client | call->generation << KHS_TOKEN_CLIENT_BITS,
            .port = server_port(core, server, call->reader),
            .riid = header(message)->riid,
            .mid = header(message)->mid,
        };
        khs_copy(khs_span(core, server, wait->buffer, call->length, KHS_W), message, call->length);
        khs_tell(core, server, wait->info, &info, sizeof info, outcome);
        call->stage = CALL_RECEIVED;
        return true;
    }
}

/* A server that waits in recv gets a new request at once. */
static void offer(khs_core *core, uint32_t server, uint32_t *verdicts)
{
    khs_partition *p = &core->partitions[server];
    khs_outcome outcome = {0};
    if (p->wait.kind != WAIT_RECV)
        return;
    if (take_request(core, server, &p->wait, &outcome))
        khs_wake(core, server, &outcome);
    *verdicts += outcome.verdicts;
}

static khs_outcome check_call(khs_core *core, uint32_t self, const uint64_t *a,
                              const khs_cfg_channel **channel)
{
    uint32_t length = (uint32_t)a[2];
    khs_slice ports = core->cfg_partitions[self].ports;
    if (a[0] >= ports.count)
        return khs_done(KHS_CODE_INVALID_PARAM);
    const khs_cfg_port *port = &core->cfg_ports[ports.first + (uint32_t)a[0]];
    *channel = &core->cfg_channels[port->channel];
    if ((*channel)->kind != KHS_CALLS || port->direction != KHS_SOURCE)
        return khs_done(KHS_CODE_INVALID_CONFIG);
    if (length < sizeof(kss_header) || length > (*channel)->message_size)
        return khs_done(KHS_CODE_BAD_LENGTH);
    if (a[5] == 0)
        return khs_done(KHS_CODE_INVALID_PARAM);
    if (khs_span(core, self, a[1], length, KHS_R) == NULL ||
        khs_span(core, self, a[3], (uint32_t)a[4], KHS_W) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    return khs_done(KHS_CODE_OK);
}

/* Why a granted call could still not be sent. */
static uint32_t obstacle(const khs_core *core, uint32_t self, uint32_t server)
{
    if (core->partitions[server].mode == KHS_MODE_IDLE)
        return KHS_CODE_NOT_AVAILABLE;
    return closes_cycle(core, self, server) ? KHS_CODE_WOULD_DEADLOCK : KHS_CODE_OK;
}

khs_outcome khs_do_call(khs_core *core, uint32_t self, const uint64_t *a)
{
    const khs_cfg_channel *channel;
    khs_outcome outcome = check_call(core, self, a, &channel);
    if (outcome.code != KHS_CODE_OK)
        return outcome;
    const khs_cfg_reader *reader = &core->cfg_readers[channel->readers.first];
    uint32_t length = (uint32_t)a[2], server = reader->partition;
    uint8_t *message = core->base + core->call_at[self];
    khs_copy(message, khs_span(core, self, a[1], length, KHS_R), length);
    header(message)->riid = reader->riid; /* the channel, not the caller, names the endpoint */
    outcome.copied = length;
    outcome.verdicts = 1;
    outcome.code = obstacle(core, self, server);
    if (!khs_judge_message(core, KSS_REQUEST, self, server, message, length, outcome.code == KHS_CODE_OK))
        outcome.code = KHS_CODE_DENIED;
    if (outcome.code != KHS_CODE_OK)
        return outcome;
    khs_outgoing *call = &core->partitions[self].call;
    call->stage = CALL_QUEUED;
    call->reader = channel->readers.first;
    call->length = length;
    call->order = core->state->call_order++;
    call->policy_seq = core->state->policy_seq;
    offer(core, server, &outcome.verdicts);
    outcome.kind = khs_block(core, self, (khs_waiting){.kind = WAIT_CALL, .buffer = a[3], .capacity = (uint32_t)a[4],
                                                       .until = core->state->now + khs_us(core, (uint32_t)a[5])}).kind;
    return outcome;
}

/* Does any call channel end at the partition? */
static bool is_server(const khs_core *core, uint32_t self)
{
    khs_slice ports = core->cfg_partitions[self].ports;
    for (uint32_t i = ports.first; i < ports.first + ports.count; i++)
        if (core->cfg_ports[i].direction == KHS_DESTINATION &&
            core->cfg_channels[core->cfg_ports[i].channel].kind == KHS_CALLS)
            return true;
    return false;
}

khs_outcome khs_do_recv(khs_core *core, uint32_t self, const uint64_t *a)
{
    if (!is_server(core, self))
        return khs_done(KHS_CODE_INVALID_CONFIG);
    khs_waiting wait = {.kind = WAIT_RECV, .buffer = a[0], .capacity = (uint32_t)a[1], .info = a[2],
                        .until = core->state->now + khs_us(core, (uint32_t)a[3])};
    if (khs_span(core, self, a[0], wait.capacity, KHS_W) == NULL ||
        khs_span(core, self, a[2], sizeof(struct khs_recv_info), KHS_W) == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    khs_outcome outcome = {0};
    if (take_request(core, self, &wait, &outcome))
        return outcome;
    if ((uint32_t)a[3] == 0) {
        outcome.code = KHS_CODE_NOT_AVAILABLE;
        return outcome;
    }
    outcome.kind = khs_block(core, self, wait).kind;
    return outcome;
}

/* The client whose call the token names, or why there is none. */
static uint32_t client_of(const khs_core *core, uint32_t self, uint32_t token, uint32_t *client)
{
    *client = token & ((1u << KHS_TOKEN_CLIENT_BITS) - 1u);
    if (*client >= core->cfg->partitions.count)
        return KHS_CODE_NO_CALL;
    const khs_outgoing *call = &core->partitions[*client].call;
    if (call->reader == KHS_NONE || server_of(core, call) != self)
        return KHS_CODE_NO_CALL;
    uint32_t generation = token >> KHS_TOKEN_CLIENT_BITS, mask = UINT32_MAX >> KHS_TOKEN_CLIENT_BITS;
    if (call->stage == CALL_RECEIVED && generation == (call->generation & mask))
        return KHS_CODE_OK;
    bool just_ended = generation == ((call->generation - 1u) & mask);
    return just_ended && call->ended_by == KHS_CODE_PEER_RESTARTED ? KHS_CODE_PEER_RESTARTED
                                                                   : KHS_CODE_NO_CALL;
}

khs_outcome khs_do_reply(khs_core *core, uint32_t self, const uint64_t *a)
{
    uint32_t client, length = (uint32_t)a[2];
    uint32_t code = client_of(core, self, (uint32_t)a[0], &client);
    if (code != KHS_CODE_OK)
        return khs_done(code);
    const khs_waiting *wait = &core->partitions[client].wait;
    const khs_outgoing *call = &core->partitions[client].call;
    if (length < sizeof(kss_header) ||
        length > core->cfg_channels[core->cfg_readers[call->reader].channel].message_size)
        return khs_done(KHS_CODE_BAD_LENGTH);
    const uint8_t *from = khs_span(core, self, a[1], length, KHS_R);
    if (from == NULL)
        return khs_done(KHS_CODE_BAD_POINTER);
    const kss_header *asked = header(core->base + core->call_at[client]);
    uint8_t *message = core->scratch;
    khs_copy(message, from, length);
    header(message)->riid = asked->riid; /* a reply answers the method that was called */
    header(message)->mid = asked->mid;
    enum kss_kind kind = header(message)->flags == KSS_ERR ? KSS_ERROR : KSS_RESPONSE;
    khs_outcome outcome = {.copied = length, .verdicts = 1};
    bool fits = length <= wait->capacity;
    uint32_t told = fits ? KHS_CODE_OK : KHS_CODE_BAD_LENGTH; /* to the client */
    if (!khs_judge_message(core, kind, self, client, message, length, fits))
        told = KHS_CODE_DENIED;
    outcome.code = told == KHS_CODE_BAD_LENGTH ? KHS_CODE_PEER_BUFFER : told;
    uint64_t buffer = wait->buffer;
    end_call(core, client, told);
    if (told != KHS_CODE_OK) {
        khs_wake_with(core, client, told);
        return outcome;
    }
    khs_copy(khs_span(core, client, buffer, length, KHS_W), message, length);
    khs_outcome delivered = khs_delivered(length, message);
    khs_wake(core, client, &delivered);
    return outcome;
}
