/* Messages that lie about themselves. */
#include "hostile.h"
#include <hostile/IEcho.idl.h>
#include <hostile/INoise.idl.h>

typedef struct hostile_IEcho_Echo_req echo_message;
typedef struct hostile_INoise_Make_req noise_message;

enum { PATIENCE_US = 1000 };

static echo_message sound_echo(void)
{
    return (echo_message){ .header = hostile_IEcho_Echo_req_header, .value = 7, .data = { 0, 4 } };
}

static khs_result call(const echo_message *m, uint32_t length)
{
    union hostile_IEcho_Echo_reply reply;
    return khs_call(ends.service, m, length, &reply, sizeof reply, PATIENCE_US);
}

#define ECHO(name, length, change)                                                                  \
    static khs_result name(void)                                                                    \
    {                                                                                               \
        echo_message m = sound_echo();                                                              \
        change;                                                                                     \
        return call(&m, length);                                                                    \
    }

enum { SOUND = hostile_IEcho_Echo_req_size + 4 };

ECHO(length_zero, 0, (void)0)
ECHO(length_below_header, 7, (void)0)
ECHO(length_below_constant, hostile_IEcho_Echo_req_size - 1, (void)0)
ECHO(length_beyond_arena, hostile_IEcho_Echo_req_size + 33, (void)0)
ECHO(length_huge, 0xffffffff, (void)0)
ECHO(span_outside, SOUND, m.data.offset = 1)
ECHO(span_far_outside, SOUND, m.data.offset = 0x10000)
ECHO(span_wrapping, SOUND, (m.data.offset = 0xfffffffe, m.data.size = 4))
ECHO(span_too_large, SOUND, m.data.size = 33)
ECHO(method_unknown, SOUND, m.header.mid = 77)
ECHO(method_of_another_shape, SOUND, m.header.mid = hostile_IEcho_Forbidden_mid)
ECHO(flags_response, SOUND, m.header.flags = IDL_RESPONSE)
ECHO(flags_unknown, SOUND, m.header.flags = 0xffff)
/* The kernel names the endpoint itself: the call waits until its time is over. */
ECHO(endpoint_of_another, SOUND, m.header.riid = 0xffff)

/* Sound, and no rule allows it. */
static khs_result method_without_rule(void)
{
    struct hostile_IEcho_Forbidden_req m = { .header = hostile_IEcho_Forbidden_req_header, .value = 1 };
    union hostile_IEcho_Forbidden_reply reply;
    return khs_call(ends.service, &m, sizeof m, &reply, sizeof reply, PATIENCE_US);
}

static khs_result send(uint32_t length, struct idl_span span)
{
    noise_message m = { .header = hostile_INoise_Make_req_header, .value = 7, .data = span };
    return khs_port_send(ends.noise, &m, length);
}

static khs_result noise_span_outside(void)
{
    return send(hostile_INoise_Make_req_size + 4, (struct idl_span){ 4, 1 });
}

static khs_result noise_too_long(void)
{
    return send(sizeof(noise_message) + 1, (struct idl_span){ 0, 4 });
}

/* The port, not the writer, says which method it carries. */
static khs_result noise_of_another_method(void)
{
    noise_message m = { .header = { 9, 9, 9 }, .value = 7 };
    return khs_port_send(ends.noise, &m, hostile_INoise_Make_req_size);
}

static khs_result queue_overflow(void)
{
    khs_result r;
    uint32_t sent = 0;
    while ((r = send(hostile_INoise_Make_req_size, (struct idl_span){ 0, 0 })).code == KHS_CODE_OK)
        sent++;
    return (khs_result){ r.code, sent };
}

/* A buffer too small for what waits loses nothing: the message is still there afterwards. */
static khs_result buffer_too_small(void)
{
    uint8_t buffer[64];
    pass_time(3);
    khs_result r = khs_port_receive(ends.answer, buffer, 4, 0);
    khs_result again = khs_port_receive(ends.answer, buffer, sizeof buffer, 0);
    return (khs_result){ r.code, again.code };
}

const struct hostile_case message_cases[] = {
    { "length-zero", length_zero },
    { "length-below-header", length_below_header },
    { "length-below-constant", length_below_constant },
    { "length-beyond-arena", length_beyond_arena },
    { "length-huge", length_huge },
    { "span-outside", span_outside },
    { "span-far-outside", span_far_outside },
    { "span-wrapping", span_wrapping },
    { "span-too-large", span_too_large },
    { "method-unknown", method_unknown },
    { "method-of-another-shape", method_of_another_shape },
    { "method-without-rule", method_without_rule },
    { "flags-response", flags_response },
    { "flags-unknown", flags_unknown },
    { "endpoint-of-another", endpoint_of_another },
    { "noise-span-outside", noise_span_outside },
    { "noise-too-long", noise_too_long },
    { "noise-of-another-method", noise_of_another_method },
    { "queue-overflow", queue_overflow },
    { "buffer-too-small", buffer_too_small },
    { NULL, NULL },
};
