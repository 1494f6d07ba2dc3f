/* Calls between partitions that go wrong. The victim's ROLE decides what it does. */
#include "hostile.h"
#include <hostile/IEcho.idl.h>

enum { PATIENCE_US = 200000 };

static khs_result call(uint32_t timeout_us, uint32_t *value)
{
    struct hostile_IEcho_Echo_req m = { .header = hostile_IEcho_Echo_req_header, .value = 7 };
    union hostile_IEcho_Echo_reply reply = { .header = { 0, 0, 0 } };
    khs_result r = khs_call(ends.service, &m, hostile_IEcho_Echo_req_size, &reply, sizeof reply, timeout_us);
    if (value)
        *value = reply.res.value2;
    return r;
}

/* One call, with patience: what comes back depends on the victim alone. */
static khs_result call_peer(void)
{
    uint32_t value;
    khs_result r = call(PATIENCE_US, &value);
    return (khs_result){ r.code, value };
}

static khs_result call_peer_later(void)
{
    pass_time(5);
    return call_peer();
}

static khs_result call_without_patience(void)
{
    return call(0, NULL);
}

/* The reply buffer is smaller than the reply. */
static khs_result call_small_buffer(void)
{
    struct hostile_IEcho_Echo_req m = { .header = hostile_IEcho_Echo_req_header, .value = 7 };
    uint8_t reply[8];
    return khs_call(ends.service, &m, hostile_IEcho_Echo_req_size, reply, sizeof reply, PATIENCE_US);
}

/* The victim waits for this partition: to wait for the victim would never end. */
static khs_result call_in_a_circle(void)
{
    pass_time(5);
    return call(PATIENCE_US, NULL);
}

/* The message lies in memory that the victim changes while the call waits: what it gets is
 * what was judged. The victim answers with the value it was given. */
static khs_result change_after_check(void)
{
    struct hostile_IEcho_Echo_req *m = (struct hostile_IEcho_Echo_req *)ends.shared;
    *m = (struct hostile_IEcho_Echo_req){ .header = hostile_IEcho_Echo_req_header, .value = 7 };
    union hostile_IEcho_Echo_reply reply = { .header = { 0, 0, 0 } };
    khs_result r =
        khs_call(ends.service, m, hostile_IEcho_Echo_req_size, &reply, sizeof reply, PATIENCE_US);
    return (khs_result){ r.code, reply.res.value2 };
}

/* ------------------------------------------------------------ as a server */

static khs_result receive(struct khs_recv_info *info)
{
    struct hostile_IEcho_Echo_req m;
    return khs_recv(&m, sizeof m, info, PATIENCE_US);
}

static khs_result reply(uint32_t token, const void *message, uint32_t length)
{
    return khs_reply(token, message, length);
}

static const struct hostile_IEcho_Echo_res answer = { .header = hostile_IEcho_Echo_res_header, .value2 = 9 };

static khs_result reply_twice(void)
{
    struct khs_recv_info info = { 0 };
    receive(&info);
    reply(info.token, &answer, sizeof answer);
    return reply(info.token, &answer, sizeof answer);
}

static khs_result reply_foreign_token(void)
{
    struct khs_recv_info info = { 0 };
    receive(&info);
    return reply(info.token ^ 0x10000, &answer, sizeof answer);
}

static khs_result reply_bad_pointer(void)
{
    struct khs_recv_info info = { 0 };
    receive(&info);
    return reply(info.token, (const void *)(uintptr_t)KERNEL_ADDRESS, sizeof answer);
}

static khs_result reply_too_long(void)
{
    struct khs_recv_info info = { 0 };
    receive(&info);
    return reply(info.token, &answer, 0x10000);
}

/* An answer that is no answer of the method: neither side gets away with it. */
static khs_result reply_malformed(void)
{
    struct khs_recv_info info = { 0 };
    receive(&info);
    struct idl_header m = { 0, 0, IDL_REQUEST };
    return reply(info.token, &m, sizeof m);
}

/* Received and never answered: the victim's patience ends, this partition goes on. */
static khs_result never_reply(void)
{
    struct khs_recv_info info = { 0 };
    return (khs_result){ receive(&info).code, info.mid };
}

/* Too late: the caller has given up. */
static khs_result reply_late(void)
{
    struct khs_recv_info info = { 0 };
    khs_ready();
    receive(&info);
    pass_time(20);
    return reply(info.token, &answer, sizeof answer);
}

static khs_result receive_small_buffer(void)
{
    struct khs_recv_info info;
    uint8_t buffer[4];
    return khs_recv(buffer, sizeof buffer, &info, PATIENCE_US);
}

static khs_result receive_nothing(void)
{
    struct khs_recv_info info;
    uint8_t buffer[64];
    return khs_recv(buffer, sizeof buffer, &info, 0);
}

const struct hostile_case peer_cases[] = {
    { "call-peer", call_peer },
    { "call-peer-later", call_peer_later },
    { "call-without-patience", call_without_patience },
    { "call-small-buffer", call_small_buffer },
    { "call-in-a-circle", call_in_a_circle },
    { "change-after-check", change_after_check },
    { "reply-twice", reply_twice },
    { "reply-foreign-token", reply_foreign_token },
    { "reply-bad-pointer", reply_bad_pointer },
    { "reply-too-long", reply_too_long },
    { "reply-malformed", reply_malformed },
    { "never-reply", never_reply },
    { "reply-late", reply_late },
    { "receive-small-buffer", receive_small_buffer },
    { "receive-nothing", receive_nothing },
    { NULL, NULL },
};
