#include "model.h"
#include "program.h"

/* The fields an instruction uses; all others are zero. T: x is a type of integers; W: imm has 32 bits. */
enum { D = 1, A = 2, B = 4, X = 8, I = 16, T = X | 32, W = I | 64 };
static const uint8_t operands[OPS] = {
    [OP_END] = 0,
    [OP_SRC] = D,
    [OP_DST] = D,
    [OP_FIELD] = D | T | W,
    [OP_LOAD] = D | A | T | W,
    [OP_OFFSET] = D | A | W,
    [OP_INDEX] = D | A | B | X | W,
    [OP_ELEMENT] = D | A | B | W,
    [OP_SPAN] = D | A,
    [OP_LENGTH] = D | A | X | W,
    [OP_TEXT_LENGTH] = D | A,
    [OP_SCAN] = D | A | X,
    [OP_SUM] = D | A | B | T,
    [OP_PRODUCT] = D | A | B | T,
    [OP_EXPECT] = A | I,
    [OP_ADD] = D | A | B | T,
    [OP_SUB] = D | A | B | T,
    [OP_MUL] = D | A | B | T,
    [OP_NEG] = D | A | T,
    [OP_ABS] = D | A | T,
    [OP_AND] = D | A | B,
    [OP_OR] = D | A | B,
    [OP_NOT] = D | A | T,
    [OP_EQ] = D | A | B,
    [OP_NE] = D | A | B,
    [OP_LT] = D | A | B | T,
    [OP_LE] = D | A | B | T,
    [OP_INVERT] = D | A,
    [OP_MOVE] = D | A,
    [OP_JUMP] = X,
    [OP_JUMP_ZERO] = A | X,
    [OP_JUMP_NONZERO] = A | X,
    [OP_CALL] = D | A | B | X | I,
    [OP_RULE] = A | X,
    [OP_MARK] = X,
    [OP_NOTE] = A | X | I,
};

static bool operands_fit(const struct instruction *i, uint32_t registers) {
    uint8_t used = operands[i->op];
    bool immediate = !(used & I) && (i->a == IMMEDIATE || i->b == IMMEDIATE);
    uint32_t b_registers = i->op == OP_CALL ? REGISTERS : registers; /* b is a method there */
    return ((used & D) ? i->d < registers : i->d == 0) &&
           ((used & A) ? i->a < registers || (immediate && i->a == IMMEDIATE) : i->a == 0) &&
           ((used & B) ? i->b < b_registers || (immediate && i->b == IMMEDIATE) : i->b == 0) &&
           ((used & X) || i->x == 0) && ((used & I) || immediate || i->imm == 0) &&
           ((used & T) != T || i->x < INTEGER_TYPES) && ((used & W) != W || i->imm <= UINT32_MAX);
}

static bool verify_call(const struct image *image, const struct entry *entry, const struct instruction *i,
                        uint32_t *writes) {
    if (i->x >= count_of(image, OBJECTS))
        return false;
    const struct object *object = &objects_of(image)[i->x];
    struct needs needs;
    if (!model_of(object)->verify_call(image, object, i->b, i->imm, &needs))
        return false;
    *writes += needs.writes;
    return needs.arguments <= (uint32_t)entry->registers - i->a && *writes <= image->max_writes;
}

static bool verify_instruction(const struct image *image, const struct entry *entry, uint32_t at,
                               uint32_t *calls, uint32_t *writes) {
    const struct instruction *i = &code_of(image)[entry->first + at];
    if (i->op >= OPS || !operands_fit(i, entry->registers))
        return false;
    switch ((enum op)i->op) {
    case OP_FIELD:
        return i->imm >= HEADER_SIZE && i->imm <= entry->extent && width_of(i->x) <= entry->extent - i->imm;
    case OP_SCAN:
        return i->x < count_of(image, AUTOMATA);
    case OP_NEG:
    case OP_ABS:
        return is_signed(i->x);
    case OP_JUMP:
    case OP_JUMP_ZERO:
    case OP_JUMP_NONZERO:
        return i->x > 0 && i->x < entry->count - at;
    case OP_CALL:
        return verify_call(image, entry, i, writes);
    case OP_RULE:
        return i->x < image->rules && ++*calls <= image->max_calls;
    case OP_MARK: /* one call if it is charged with a failure */
        return (i->x < image->rules && ++*calls <= image->max_calls) || i->x == NONE;
    case OP_NOTE:
        return i->x < image->rules && i->imm < entry->notes;
    default:
        return true;
    }
}

bool kss_verify_program(const struct image *image, const struct entry *entry, uint32_t *bad) {
    /* Before any program, an event may drop a dead SID's contexts. */
    uint32_t calls = 0, writes = count_of(image, OBJECTS) * DROP_WRITES;
    for (*bad = 0; *bad < entry->count; ++*bad)
        if (!verify_instruction(image, entry, *bad, &calls, &writes))
            return false;
    *bad = entry->count ? entry->count - 1 : 0;
    return entry->registers <= REGISTERS && entry->notes <= image->max_notes && entry->count && code_of(image)[entry->first + *bad].op == OP_END;
}
