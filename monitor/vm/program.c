#include "arithmetic.h"
#include "model.h"
#include "program.h"

struct machine {
    uint64_t r[REGISTERS];
    const struct transaction *tx;
    const kss_event *event;
    const struct message *message;
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
    const struct automaton *automaton = &automata_of(m->tx->image)[number];
    const uint16_t *entries = transitions_of(m->tx->image) + automaton->transition;
    struct text text;
    if (!text_at(m->message, address, &text))
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
    const uint8_t *p = count <= m->message->size ? inside(m->message, m->r[i->a], count * width) : NULL;
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

static bool call(const struct machine *m, const struct instruction *i, uint64_t *result) {
    const struct object *object = &objects_of(m->tx->image)[i->x];
    struct call call = {m->tx, object, m->message, &m->r[i->a], i->imm, i->b};
    uint64_t value = 0; /* `result` may be an argument, too */
    bool done = kss_find_model(object->model)->call(&call, &value);
    *result = value;
    return done;
}

/* Executes an instruction that computes `d`; false if it cannot be evaluated. */
static inline bool compute(const struct machine *m, const struct instruction *i, uint64_t *d) {
    if (i->op == OP_CALL) /* its `b` is no register */
        return call(m, i, d);
    uint64_t a = m->r[i->a], b = m->r[i->b];
    switch ((enum op)i->op) {
    case OP_CONST: *d = i->imm; return true;
    case OP_SRC: *d = m->event->src_sid; return true;
    case OP_DST: *d = m->event->dst_sid; return true;
    case OP_FIELD: *d = load(m->message->bytes + i->imm, i->x); return true;
    case OP_LOAD: return load_at(m->message, a + i->imm, i->x, d);
    case OP_OFFSET: *d = a + i->imm; return true;
    case OP_INDEX: *d = a + b * i->imm; return b < i->x;
    case OP_ELEMENT: return element(m->message, a, b, i->imm, d);
    case OP_SPAN: return load_at(m->message, a, U32, d) && add(U64, *d, m->message->arena, d);
    case OP_LENGTH:
    case OP_TEXT_LENGTH: return length(m->message, a, i, d);
    case OP_SCAN: return scan(m, a, i->x, d);
    case OP_SUM:
    case OP_PRODUCT: return fold(m, i, d);
    case OP_ADD: return add(i->x, a, b, d);
    case OP_SUB: return subtract(i->x, a, b, d);
    case OP_MUL: return multiply(i->x, a, b, d);
    case OP_NEG: return subtract(i->x, 0, a, d);
    case OP_ABS: *d = a; return !(a >> 63) || subtract(i->x, 0, a, d);
    case OP_AND: *d = a & b; return true;
    case OP_OR: *d = a | b; return true;
    case OP_NOT: *d = complement(i->x, a); return true;
    case OP_EQ: *d = a == b; return true;
    case OP_NE: *d = a != b; return true;
    case OP_LT: *d = less(i->x, a, b); return true;
    case OP_LE: *d = !less(i->x, b, a); return true;
    case OP_INVERT: *d = !a; return true;
    case OP_MOVE: *d = a; return true;
    default: return a == i->imm; /* OP_EXPECT, which has no d */
    }
}

static void record(const struct transaction *tx, struct outcome *outcome, uint32_t rule,
                   enum kss_result result) {
    tx->calls[outcome->calls++] = (kss_call){.rule = rule, .result = result};
    if (outcome->granted)
        outcome->rule = rule;
    outcome->granted &= result == KSS_GRANTED;
}

/* A failure is charged to the rule whose argument could not be evaluated: the next one. */
static void fail(const struct transaction *tx, struct outcome *outcome, const struct instruction *i) {
    while (i->op != OP_RULE && i->op != OP_MARK && i->op != OP_END)
        i++;
    outcome->failed = true;
    if (i->op == OP_END || i->x == NONE)
        outcome->granted = false;
    else
        record(tx, outcome, i->x, KSS_FAILED);
}

/* The value lies in 32 bits, or is none of those that an audit record tells. */
static void take_note(const struct machine *m, const struct instruction *i) {
    uint64_t value = m->r[i->a];
    m->tx->notes[i->imm] = (struct note){
        .rule = i->x, .value = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX};
}

static void begin_notes(const struct transaction *tx, uint32_t count) {
    tx->state->notes = count;
    for (uint32_t k = 0; k < count; k++)
        tx->notes[k].rule = NONE;
}

struct outcome kss_run(const struct transaction *tx, const struct entry *entry, const kss_event *event,
                   const struct message *message) {
    struct machine m;
    m.tx = tx;
    m.event = event;
    m.message = message;
    for (uint32_t k = 0; k < entry->registers; k++)
        m.r[k] = 0;
    begin_notes(tx, entry->notes);
    struct outcome outcome = {.granted = true, .rule = KSS_NO_RULE};
    const struct instruction *i = code_of(tx->image) + entry->first;
    for (;;) {
        switch ((enum op)i->op) {
        case OP_END: return outcome;
        case OP_JUMP: i += i->x; break;
        case OP_JUMP_ZERO: i += m.r[i->a] ? 1 : i->x; break;
        case OP_JUMP_NONZERO: i += m.r[i->a] ? i->x : 1; break;
        case OP_RULE: record(tx, &outcome, i->x, m.r[i->a] ? KSS_GRANTED : KSS_DENIED); i++; break;
        case OP_MARK: i++; break;
        case OP_NOTE: take_note(&m, i); i++; break;
        default:
            if (!compute(&m, i, &m.r[i->d])) {
                fail(tx, &outcome, i);
                return outcome;
            }
            i++;
        }
    }
}
