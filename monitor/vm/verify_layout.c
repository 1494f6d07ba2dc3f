#include "verify.h"

static bool is_power(uint32_t number) { return number && !(number & (number - 1)); }

/* Does a node lie within `extent` bytes? `size` of a union and its members, whose
 * children count offsets from the same start, is what encloses them. */
static bool lies_within(const struct node *node, uint32_t extent) {
    uint64_t size = sizeof(kss_span);
    if (node->kind == NODE_ARRAY)
        size = (uint64_t)node->limit * node->size;
    if (node->kind == NODE_UNION || node->kind == NODE_MEMBER) {
        if (node->size > extent)
            return false;
        size = node->kind == NODE_UNION ? sizeof(uint32_t) : 0;
    }
    return size <= extent && node->offset <= extent - size;
}

/* Children of an owner: they follow those of the owner before. Only a union's are members. */
static bool verify_children(struct verifier *v, uint32_t first, uint32_t count, uint32_t extent,
                            uint32_t depth, bool members) {
    if (!take(v, NODES, first, count) || (count && depth >= MAX_DEPTH))
        return false;
    const struct node *node = nodes_of(v->image) + first;
    for (; count; count--, node++)
        if (node->depth != depth || (node->kind == NODE_MEMBER) != members || !lies_within(node, extent))
            return false;
    return true;
}

/* Fields that a kind does not use are zero. */
static bool verify_fields(const struct node *node) {
    uint64_t product = (uint64_t)node->inverse * node->size, range = 1ull << 32;
    if (node->kind != NODE_SEQUENCE && (node->inverse || node->alignment))
        return false;
    switch (node->kind) {
    case NODE_BYTES:
    case NODE_STRING:
        return !node->size && !node->nodes;
    case NODE_SEQUENCE:
        if (node->size < 2 ? node->inverse : product < range || product - node->size >= range)
            return false;
        return is_power(node->alignment) && node->alignment <= 8;
    case NODE_ARRAY:
        return node->size; /* or checking it could take for ever */
    case NODE_UNION:
        return node->limit == node->nodes;
    case NODE_MEMBER:
        return !node->limit && !node->offset;
    default:
        return false;
    }
}

static bool verify_node(struct verifier *v, const struct node *node) {
    uint32_t depth = node->kind == NODE_UNION ? node->depth : node->depth + 1u;
    return verify_fields(node) &&
           verify_children(v, node->node, node->nodes, node->size, depth, node->kind == NODE_UNION);
}

static bool verify_type(struct verifier *v, const struct type *type) {
    return type->size >= HEADER_SIZE && type->size % 8 == 0 && type->size <= MAX_MESSAGE &&
           type->arena <= MAX_MESSAGE - type->size &&
           verify_children(v, type->node, type->nodes, type->size, 0, false);
}

bool kss_verify_layouts(struct verifier *v) {
    const struct image *image = v->image;
    for (uint32_t i = 0; i < count_of(image, TYPES); i++)
        if (!verify_type(v, &types_of(image)[i]))
            return kss_defect(v, KSS_BAD_LAYOUT, TYPES, i);
    for (uint32_t i = 0; i < count_of(image, NODES); i++)
        if (i >= v->taken[NODES] || !verify_node(v, &nodes_of(image)[i]))
            return kss_defect(v, KSS_BAD_LAYOUT, NODES, i);
    return true;
}
