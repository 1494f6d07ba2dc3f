/* Messages of calls and ports: one layout on every architecture, little-endian.
 *
 * A message is a header, the parameters of one direction of an IDL method at their natural
 * alignment, and an arena with the data of its `bytes`, `string` and `sequence` parameters,
 * each of which is a span in the constant part. For every interface of the system there is a
 * header with a struct for each message: `#include <gateway/ISetpoint.idl.h>` has
 * `struct gateway_ISetpoint_Set_req` (`_res`, `_err`). SPDX-License-Identifier: MIT
 */
#ifndef KHS_MESSAGE_H
#define KHS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel sets `riid` itself: the channel, not the sender, names the endpoint. */
struct khs_header {
    uint32_t riid; /* endpoint in the server's class */
    uint16_t mid;  /* method in the endpoint's interface */
    uint16_t flags;
};
enum khs_direction { KHS_REQUEST = 0, KHS_RESPONSE = 1, KHS_ERROR = 2 };

struct khs_span {
    uint32_t offset; /* from the start of the arena */
    uint32_t size;   /* bytes */
};

struct khs_handle {
    uint32_t handle;
    uint32_t rights;
};

/* A message whose arena grows behind its constant part: `used` bytes so far. */
struct khs_arena {
    uint8_t *base;
    uint32_t capacity;
    uint32_t used;
};

/* Appends `size` bytes at `alignment`; false if they do not fit. */
bool khs_put(struct khs_arena *arena, struct khs_span *span, const void *data, uint32_t size,
             uint32_t alignment);
/* Appends a text and its final zero, cut to what fits and to `limit` bytes. */
void khs_put_text(struct khs_arena *arena, struct khs_span *span, const char *text, uint32_t limit);

/* The text a span of a received message names: `message` of `length` bytes with a constant
 * part of `constant` bytes. "" if the span does not lie within the message. */
const char *khs_text(const void *message, uint32_t length, uint32_t constant, struct khs_span span);

#endif
