#include "message.h"

static bool has_zero(const uint8_t *p, uint32_t size) {
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t eight = load64(p);
        if ((eight - 0x0101010101010101u) & ~eight & 0x8080808080808080u)
            return true;
    }
    for (; size; p++, size--)
        if (*p == 0)
            return true;
    return false;
}

static bool span_conforms(const struct image *image, struct message *message, const struct node *node,
                          uint32_t base) {
    kss_span span = load_span(message->bytes + base + node->offset);
    uint32_t arena = message->size - message->arena;
    if (span.offset > arena || span.size > arena - span.offset)
        return false;
    if (span.size > message->budget)
        return false;
    message->budget -= span.size;
    uint32_t start = message->arena + span.offset;
    switch (node->kind) {
    case NODE_BYTES:
        return span.size <= node->limit;
    case NODE_STRING: {
        const uint8_t *text = message->bytes + start;
        return span.size == 0 ||
               (span.size - 1 <= node->limit && text[span.size - 1] == 0 && !has_zero(text, span.size - 1));
    }
    default: {
        uint32_t elements = elements_in(span.size, node->size, node->inverse);
        if ((uint64_t)elements * node->size != span.size || elements > node->limit ||
            (span.offset & (node->alignment - 1u)))
            return false;
        for (uint32_t at = 0; node->nodes && at < span.size; at += node->size)
            if (!kss_nodes_conform(image, message, start + at, node->node, node->nodes))
                return false;
        return true;
    }
    }
}

/* Recursion is as deep as the type nests: at most MAX_DEPTH, see verify_layout.c. */
static bool node_conforms(const struct image *image, struct message *message, const struct node *node,
                          uint32_t base) {
    if (node->kind == NODE_UNION) {
        uint32_t tag = load32(message->bytes + base + node->offset);
        if (tag >= node->nodes)
            return false;
        const struct node *member = &nodes_of(image)[node->node + tag];
        return kss_nodes_conform(image, message, base, member->node, member->nodes);
    }
    if (node->kind == NODE_ARRAY) {
        for (uint32_t i = 0; i < node->limit; i++)
            if (!kss_nodes_conform(image, message, base + node->offset + i * node->size, node->node, node->nodes))
                return false;
        return true;
    }
    return span_conforms(image, message, node, base);
}

bool kss_nodes_conform(const struct image *image, struct message *message, uint32_t base, uint32_t first,
                       uint32_t count) {
    const struct node *node = &nodes_of(image)[first];
    for (uint32_t i = 0; i < count; i++)
        if (!node_conforms(image, message, &node[i], base))
            return false;
    return true;
}

bool kss_conforms(const kss_policy *policy, uint32_t server_class, uint32_t kind, const uint8_t *bytes,
                  uint32_t size) {
    const struct image *image = image_of(policy);
    if (server_class >= count_of(image, CLASSES) || kind >= KSS_KINDS)
        return false;
    if (kind == KSS_EXECUTE)
        return !bytes && size == 0;
    struct message message;
    return find_row(image, server_class, kind, bytes, size, &message) != NULL;
}
