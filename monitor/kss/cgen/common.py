"""What every generated header begins with, once in a program: the parts of a message."""

from __future__ import annotations

COMMON = """\
#ifndef IDL_H
#define IDL_H

#ifdef __cplusplus
#define IDL_ALIGNED(bytes) alignas(bytes)
#define IDL_ASSERT(condition, text) static_assert(condition, text)
extern "C" {
#else
#define IDL_ALIGNED(bytes) _Alignas(bytes)
#define IDL_ASSERT(condition, text) _Static_assert(condition, text)
#endif

struct idl_header {
    uint32_t riid; /* endpoint in the server's class */
    uint16_t mid;  /* method in the endpoint's interface */
    uint16_t flags;
};
enum idl_direction { IDL_REQUEST = 0, IDL_RESPONSE = 1, IDL_ERROR = 2 }; /* flags */

/* Where the data of bytes, a string or a sequence lie, in bytes. */
struct idl_span {
    uint32_t offset; /* from the start of the arena */
    uint32_t size;
};

struct idl_handle {
    uint32_t handle;
    uint32_t rights;
};

/* Copies `size` bytes, or clears them if there is nothing to copy from. */
static inline void idl_copy(void *to, const void *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = from ? ((const uint8_t *)from)[i] : 0;
}

/* ---- building: where data go, all in bytes */

struct idl_place {
    uint32_t span; /* in the message; 0 if the message has no such span */
    uint32_t constant;
    uint32_t region; /* in the arena */
    uint32_t arena;
};

/* Puts `size` bytes in their place. What is skipped between them and `*length` is cleared. */
static inline bool idl_put(void *message, uint32_t *length, struct idl_place place,
                           const void *data, uint32_t size)
{
    struct idl_span span = {size ? place.region : 0u, size};
    uint32_t start = place.constant + place.region;
    if (!place.span || (size && (place.region > place.arena || size > place.arena - place.region)))
        return false;
    idl_copy((uint8_t *)message + place.span, &span, (uint32_t)sizeof span);
    if (!size)
        return true;
    if (*length < start)
        idl_copy((uint8_t *)message + *length, 0, start - *length);
    idl_copy((uint8_t *)message + start, data, size);
    if (*length < start + size)
        *length = start + size;
    return true;
}

/* The same for a text and its final zero; an empty one needs no data at all. */
static inline bool idl_put_text(void *message, uint32_t *length, struct idl_place place,
                                const char *text, uint32_t limit)
{
    uint32_t size = 0;
    while (size <= limit && text[size])
        size++;
    return size <= limit && idl_put(message, length, place, text, size ? size + 1u : 0u);
}

/* ---- reading: nothing outside the first `length` bytes of a message is looked at */

static inline bool idl_sound(uint32_t length, uint32_t constant, uint32_t arena)
{
    return length >= constant && length - constant <= arena;
}

static inline uint32_t idl_tag(const void *message, uint32_t at)
{
    uint32_t tag;
    idl_copy(&tag, (const uint8_t *)message + at, (uint32_t)sizeof tag);
    return tag;
}

/* The data of the span at `at` in a message of sound length, from the start of the message;
 * {0, 0} if there is no such span, or if they have more than `most` bytes or leave the message. */
static inline struct idl_span idl_part(const void *message, uint32_t length, uint32_t constant,
                                       uint32_t at, uint32_t most)
{
    struct idl_span none = {0, 0}, span;
    if (!at)
        return none;
    idl_copy(&span, (const uint8_t *)message + at, (uint32_t)sizeof span);
    if (span.size > most || span.offset > length - constant ||
        span.size > length - constant - span.offset)
        return none;
    span.offset += constant;
    return span;
}

static inline const char *idl_text(const void *message, struct idl_span part)
{
    const char *text = (const char *)message + part.offset;
    return part.size && !text[part.size - 1u] ? text : "";
}

static inline const uint8_t *idl_bytes(const void *message, struct idl_span part, uint32_t *size)
{
    *size = part.size;
    return part.offset ? (const uint8_t *)message + part.offset : 0;
}

static inline bool idl_item(const void *message, struct idl_span part, uint32_t index, void *item,
                            uint32_t size)
{
    if (index >= part.size / size)
        return false;
    idl_copy(item, (const uint8_t *)message + part.offset + index * size, size);
    return true;
}

#ifdef __cplusplus
}
#endif

#endif
"""
