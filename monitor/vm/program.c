#include "arithmetic.h"
#include "model.h"
#include "program.h"

struct machine {
    uint64_t r[REGISTERS + 1]; /* and IMMEDIATE */
    struct call call; /* the last one */
};

static uint64_t load(const uint8_t *p, uint32_t type) {
    switch (type) {
    case U8: return *p;
    case U16: return load16(p);
    case U32: return load32(p);
    case S8: return (uint64_t)(int8_t)*p;
    case S16: return (uint64_t)(int16_t)load16(p);
    case S32: return (uint64_t)(int32_t)load32(p);
    default: return load64(p);
    }
}

static bool load_at(const struct message *message, uint64_t address, uint32_t type, uint64_t *result) {
    const uint8_t *p = inside(message, address, width_of(type));
    if (p)
        *result = load(p, type);
    return p;
}

static bool element(const struct message *message, uint64_t address, uint64_t index, uint64_t size,
                    uint64_t *result) {
    const uint8_t *p = inside(message, address, sizeof(kss_span));
    if (!p)
        return false;
    kss_span span = load_span(p);
    *result = (uint64_t)message->arena + span.offset + index * size;
    return index < span.size && (index + 1) * size <= span.size;
}

static bool length(const struct message *message, uint64_t address, const struct instruction *i,
                   uint64_t *result) {
    const uint8_t *p = inside(message, address, sizeof(kss_span));
    if (!p)
        return false;
    uint32_t size = load_span(p).size;
    if (i->op == OP_TEXT_LENGTH)
        *result = size ? size - 1 : 0;
    else
        *result = elements_in(size, i->x, (uint32_t)i->imm);
    return true;
}

/* The answer of an automaton to a text. Its entries are known to lead to rows. */
static bool scan(const struct machine *m, uint64_t address, uint32_t number, uint64_t *result) {
    const struct automaton *automaton = &automata_of(m->call.tx->image)[number];
    const uint16_t *entries = transitions_of(m->call.tx->image) + automaton->transition;
    struct text text;
    if (!text_at(m->call.message, address, &text))
        return false;
    uint32_t row = automaton->start << automaton->row_bits, sinks = automaton->sinks << automaton->row_bits;
    for (const uint8_t *p = text.bytes, *end = p + text.size; p < end && row >= sinks; p++)
        row = entries[row + automaton->column[*p]];
    *result = entries[row];
    return true;
}

/* Sum or product of b numbers from address a on: at most as many as the message has bytes. */
static bool fold(const struct machine *m, const struct instruction *i, uint64_t *result) {
    uint32_t width = width_of(i->x);
    uint64_t count = m->r[i->b];
    const uint8_t *p = count <= m->call.message->size ? inside(m->call.message, m->r[i->a], count * width) : NULL;
    if (!p)
        return false;
    uint64_t total = i->op == OP_PRODUCT;
    for (; count; count--, p += width) {
        uint64_t number = load(p, i->x);
        if (!(i->op == OP_SUM ? add(i->x, total, number, &total) : multiply(i->x, total, number, &total)))
            return false;
    }
    *result = total;
    return true;
}

static inline bool call(struct machine *m, const struct instruction *i, uint64_t *result) {
    uint64_t value = 0; /* `result` may be an argument, too */
    m->call.object = &objects_of(m->call.tx->image)[i->x];
    m->call.arguments = &m->r[i->a];
    m->call.operand = i->imm;
    m->call.method = i->b;
    bool done = model_of(m->call.object)->call(&m->call, &value);
    *result = value;
    return done;
}

/* The verdict with one more rule called: the last one, or the first that did not grant, decides. */
static inline kss_verdict record(const struct transaction *tx, kss_verdict verdict, uint32_t rule,
                                 enum kss_result result) {
    tx->calls[verdict.calls++] = (kss_call){.rule = rule, .result = result};
    if (verdict.granted)
        verdict.rule = rule;
    verdict.granted &= result == KSS_GRANTED;
    return verdict;
}

/* A failure is charged to the rule whose argument could not be evaluated, the next one, and decides,
 * whatever was denied before. */
static kss_verdict fail(const struct transaction *tx, kss_verdict verdict, const struct instruction *i) {
    while (i->op != OP_RULE && i->op != OP_MARK && i->op != OP_END)
        i++;
    verdict.granted = true;
    verdict.rule = KSS_NO_RULE;
    if (i->op != OP_END && i->x != NONE)
        verdict = record(tx, verdict, i->x, KSS_FAILED);
    verdict.granted = false;
    verdict.reason = KSS_BY_ERROR;
    return verdict;
}

static kss_verdict end(kss_verdict verdict) {
    if (!verdict.calls)
        verdict = (kss_verdict){.reason = KSS_BY_DEFAULT, .rule = KSS_NO_RULE};
    return verdict;
}

/* The value lies in 32 bits, or is none of those that an audit record tells. */
static void take_note(const struct machine *m, const struct instruction *i) {
    uint64_t value = m->r[i->a];
    m->call.tx->notes[i->imm] = (struct note){
        .rule = i->x, .value = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX};
}

static void begin_notes(const struct transaction *tx, uint32_t count) {
    tx->state->notes = count;
    for (uint32_t k = 0; k < count; k++)
        tx->notes[k].rule = NONE;
}

kss_verdict kss_run(const struct transaction *tx, const struct entry *entry, const kss_event *event,
                    const struct message *message) {
    struct machine m;
    m.call.tx = tx;
    m.call.message = message;
    for (uint32_t k = 0; k < entry->registers; k++)
        m.r[k] = 0;
    begin_notes(tx, entry->notes);
    kss_verdict verdict = {.granted = true, .rule = KSS_NO_RULE};
    const struct instruction *i = code_of(tx->image) + entry->first;
    for (;; i++) {
        m.r[IMMEDIATE] = i->imm;
        const uint64_t *a = &m.r[i->a], *b = &m.r[i->b];
        uint64_t *d = &m.r[i->d];
        bool done = true;
        switch ((enum op)i->op) {
        case OP_END: return end(verdict);
        case OP_JUMP: i += i->x - 1; break;
        case OP_JUMP_ZERO: i += *a ? 0 : i->x - 1; break;
        case OP_JUMP_NONZERO: i += *a ? i->x - 1 : 0; break;
        case OP_RULE: verdict = record(tx, verdict, i->x, *a ? KSS_GRANTED : KSS_DENIED); break;
        case OP_MARK: break;
        case OP_NOTE: take_note(&m, i); break;
        case OP_CALL: done = call(&m, i, d); break;
        case OP_SRC: *d = event->src_sid; break;
        case OP_DST: *d = event->dst_sid; break;
        case OP_FIELD: *d = load(message->bytes + i->imm, i->x); break;
        case OP_LOAD: done = load_at(message, *a + i->imm, i->x, d); break;
        case OP_OFFSET: *d = *a + i->imm; break;
        case OP_INDEX: done = *b < i->x; *d = *a + *b * i->imm; break;
        case OP_ELEMENT: done = element(message, *a, *b, i->imm, d); break;
        case OP_SPAN: done = load_at(message, *a, U32, d) && add(U64, *d, message->arena, d); break;
        case OP_LENGTH:
        case OP_TEXT_LENGTH: done = length(message, *a, i, d); break;
        case OP_SCAN: done = scan(&m, *a, i->x, d); break;
        case OP_SUM:
        case OP_PRODUCT: done = fold(&m, i, d); break;
        case OP_ADD: done = add(i->x, *a, *b, d); break;
        case OP_SUB: done = subtract(i->x, *a, *b, d); break;
        case OP_MUL: done = multiply(i->x, *a, *b, d); break;
        case OP_NEG: done = subtract(i->x, 0, *a, d); break;
        case OP_ABS: *d = *a; done = !(*d >> 63) || subtract(i->x, 0, *d, d); break;
        case OP_AND: *d = *a & *b; break;
        case OP_OR: *d = *a | *b; break;
        case OP_NOT: *d = complement(i->x, *a); break;
        case OP_EQ: *d = *a == *b; break;
        case OP_NE: *d = *a != *b; break;
        case OP_LT: *d = less(i->x, *a, *b); break;
        case OP_LE: *d = !less(i->x, *b, *a); break;
        case OP_INVERT: *d = !*a; break;
        case OP_MOVE: *d = *a; break;
        default: done = *a == i->imm; break; /* OP_EXPECT, which has no d */
        }
        if (!done)
            return fail(tx, verdict, i);
    }
}
