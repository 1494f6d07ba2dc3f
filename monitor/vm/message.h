/* The message of an event, checked against its IDL type. */
#ifndef KSS_MESSAGE_H
#define KSS_MESSAGE_H

#include "image.h"

struct message {
    const uint8_t *bytes;
    uint32_t size;  /* of all of it */
    uint32_t arena; /* where the arena starts */
    /* Bytes of spans that may still be checked. A type's own limits never exceed its
     * arena; this ends the work for a type that lies about it, as spans may overlap. */
    uint32_t budget;
};

/* The operation a message of this kind names in the server's class, NULL if none. */
const struct operation *kss_find_operation(const struct image *image, uint32_t server, uint32_t kind,
                                       const uint8_t *bytes, uint32_t size);

/* Does the message conform to the type? Sets `message`. */
bool kss_check_message(const struct image *image, uint32_t type, const uint8_t *bytes, uint32_t size,
              struct message *message);

/* The bytes at an address that a program computed; NULL unless all lie in the message. */
static inline const uint8_t *inside(const struct message *message, uint64_t address, uint64_t size) {
    if (size > message->size || address > message->size - size)
        return NULL;
    return message->bytes + address;
}

struct text {
    const uint8_t *bytes;
    uint32_t size; /* without the terminating zero */
};

/* The bytes whose span is at an address that a program computed; false if it is not inside. */
static inline bool bytes_at(const struct message *message, uint64_t address, struct text *text) {
    const uint8_t *p = inside(message, address, sizeof(kss_span));
    if (!p)
        return false;
    kss_span span = load_span(p);
    text->size = span.size;
    text->bytes = inside(message, (uint64_t)message->arena + span.offset, span.size);
    return text->bytes;
}

/* The string whose span is there, without its terminating zero. */
static inline bool text_at(const struct message *message, uint64_t address, struct text *text) {
    if (!bytes_at(message, address, text))
        return false;
    text->size -= text->size > 0;
    return true;
}

/* Elements of `size` bytes in `bytes` bytes; a remainder is lost. Exact if there is none. */
static inline uint32_t elements_in(uint32_t bytes, uint32_t size, uint32_t inverse) {
    return size == 1 ? bytes : (uint32_t)((uint64_t)bytes * inverse >> 32);
}

#endif
