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

/* Do parts of the message conform to `count` nodes from `first` on? */
bool kss_nodes_conform(const struct image *image, struct message *message, uint32_t base, uint32_t first,
                       uint32_t count);

/* The operation that a message names in the server's class and direction, NULL if none. */
static inline const struct operation *find_operation(const struct image *image, uint32_t server, uint32_t kind,
                                                     const uint8_t *bytes, enum kss_direction direction) {
    const struct class *class = &classes_of(image)[server];
    uint32_t riid = load32(bytes), mid = load16(bytes + 4), endpoints = class->endpoints, first = class->endpoint;
    if (kind == KSS_SECURITY) {
        first += endpoints;
        endpoints = class->security_endpoints;
    }
    if (riid >= endpoints || load16(bytes + 6) != direction)
        return NULL;
    const struct endpoint *endpoint = &endpoints_of(image)[first + riid];
    return mid < endpoint->operations ? &operations_of(image)[endpoint->operation + mid] : NULL;
}

/* Does the message conform to the type that it names in the server's class? Sets `message`; returns its
 * row of the decision table, NULL if not. */
static inline const uint32_t *find_row(const struct image *image, uint32_t server, uint32_t kind,
                                       const uint8_t *bytes, uint32_t size, struct message *message) {
    enum kss_direction direction = kind == KSS_RESPONSE ? KSS_OUT : kind == KSS_ERROR ? KSS_ERR : KSS_IN;
    if (!bytes || size < HEADER_SIZE)
        return NULL;
    const struct operation *operation = find_operation(image, server, kind, bytes, direction);
    if (!operation)
        return NULL;
    const struct type *type = &types_of(image)[operation->types[direction]];
    if (size < type->size || size - type->size > type->arena)
        return NULL;
    *message = (struct message){.bytes = bytes, .size = size, .arena = type->size, .budget = type->arena};
    bool good = !type->nodes || kss_nodes_conform(image, message, 0, type->node, type->nodes);
    return good ? &operation->rows[direction] : NULL;
}

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
