"""What every generated header holds: the parts of a message, once."""

from __future__ import annotations

COMMON = """\
#ifndef KSS_MSG_H
#define KSS_MSG_H
struct kss_msg_header {
    uint32_t riid;
    uint16_t mid;
    uint16_t flags;
};
struct kss_msg_span {
    uint32_t offset;
    uint32_t size;
};
struct kss_msg_handle {
    uint32_t handle;
    uint32_t rights;
};
static inline void kss_msg_zero(void *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = 0;
}
static inline void kss_msg_copy(void *to, const void *from, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}
/* Points the descriptor at `size` bytes copied to `offset` of the arena. */
static inline int kss_msg_put(void *descriptor, uint8_t *arena, uint32_t *used, uint32_t offset,
                              const void *data, uint32_t size)
{
    struct kss_msg_span span = {size ? offset : 0, size};
    kss_msg_copy(descriptor, &span, sizeof span);
    kss_msg_copy(arena + offset, data, size);
    if (size && offset + size > *used)
        *used = offset + size;
    return 1;
}
/* The same for a text, which gets its terminating zero; an empty one needs no data at all. */
static inline int kss_msg_put_text(void *descriptor, uint8_t *arena, uint32_t *used,
                                   uint32_t offset, const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (text[i] == 0)
            return 0;
    if (length)
        arena[offset + length] = 0;
    kss_msg_put(descriptor, arena, used, offset, text, length);
    if (length) {
        struct kss_msg_span span = {offset, length + 1};
        kss_msg_copy(descriptor, &span, sizeof span);
        if (offset + length + 1 > *used)
            *used = offset + length + 1;
    }
    return 1;
}
static inline struct kss_msg_span kss_msg_span_at(const void *descriptor)
{
    struct kss_msg_span span;
    kss_msg_copy(&span, descriptor, sizeof span);
    return span;
}
/* Data of a span in a message whose constant part has `constant` bytes. */
static inline const uint8_t *kss_msg_data(const void *message, uint32_t constant,
                                          struct kss_msg_span span)
{
    return (const uint8_t *)message + constant + span.offset;
}
#endif
"""
