#include "verify.h"

/* Children of an owner: they follow those of the owner before, and lie within `extent` bytes. Only a union's are members. */
static bool verify_children(struct verifier *v, uint32_t first, uint32_t count, uint32_t extent, uint32_t depth,
                            bool members) {
    if (!take(v, NODES, first, count) || (count && depth >= MAX_DEPTH))
        return false;
    const struct node *node = nodes_of(v->image) + first;
    for (; count; count--, node++) {
        uint64_t size = sizeof(kss_span);
        if (node->kind == NODE_ARRAY)
            size = (uint64_t)node->limit * node->size;
        else if (node->kind == NODE_UNION || node->kind == NODE_MEMBER)
            size = node->kind == NODE_UNION ? sizeof(uint32_t) : 0;
        if (node->depth != depth || (node->kind == NODE_MEMBER) != members || size > extent ||
            node->offset > extent - size)
            return false;
        if ((node->kind == NODE_UNION || node->kind == NODE_MEMBER) && node->size > extent)
            return false;
    }
    return true;
}

/* `size` is what the children must lie within: an element; for a union and its
 * members, whose children count offsets from the same start, what encloses it. */
static bool verify_node(struct verifier *v, const struct node *node) {
    bool sequence = node->kind == NODE_SEQUENCE;
    uint64_t product = (uint64_t)node->inverse * node->size, range = 1ull << 32;
    bool inverse = sequence && node->size > 1 ? product >= range && product - node->size < range : node->inverse == 0;
    bool alignment = sequence ? node->alignment && node->alignment <= 8 && !(node->alignment & (node->alignment - 1u))
                              : node->alignment == 0;
    if (node->kind >= NODE_KINDS || !inverse || !alignment)
        return false;
    switch (node->kind) {
    case NODE_BYTES:
    case NODE_STRING:
        if (node->size || node->nodes)
            return false;
        break;
    case NODE_UNION:
        if (node->limit != node->nodes)
            return false;
        break;
    case NODE_ARRAY:
        if (node->size == 0) /* or checking it could take for ever */
            return false;
        break;
    case NODE_MEMBER:
        if (node->limit || node->offset)
            return false;
        break;
    default:
        break;
    }
    uint32_t depth = node->kind == NODE_UNION ? node->depth : node->depth + 1u;
    return verify_children(v, node->node, node->nodes, node->size, depth, node->kind == NODE_UNION);
}

bool verify_layouts(struct verifier *v) {
    const struct image *image = v->image;
    for (uint32_t i = 0; i < count_of(image, TYPES); i++) {
        const struct type *type = &types_of(image)[i];
        if (type->size < HEADER_SIZE || type->size % 8 || type->size > MAX_MESSAGE || type->arena > MAX_MESSAGE - type->size ||
            !verify_children(v, type->node, type->nodes, type->size, 0, false))
            return defect(v, KSS_BAD_LAYOUT, TYPES, i);
    }
    for (uint32_t i = 0; i < count_of(image, NODES); i++)
        if (i >= v->taken[NODES] || !verify_node(v, &nodes_of(image)[i]))
            return defect(v, KSS_BAD_LAYOUT, NODES, i);
    return true;
}
