/* Mic: mandatory integrity control. A level is a degree (its place in the configuration, in the
 * high 16 bits) with a set of categories (the 48 low bits); all ones are no level. A context is
 * the level of a SID, then for subjects the least level of data they may receive.
 *
 * Configuration: degrees, categories, then the names of both. `degree` and `category` turn a
 * text of the message into a part of a level, or into no level; parts are put together by `or`. */
#include "model.h"
#include "names.h"

#define MAX_DEGREES 0xffffu
#define MAX_CATEGORIES 48u
#define NO_LEVEL UINT64_MAX

enum { DEGREES, CATEGORIES, NAMES };
enum { CREATE, DELETE, UPGRADE, EXECUTE, CALL, INVOKE, READ, WRITE, QUERY_LEVEL, DEGREE, CATEGORY, METHODS };
/* Bits of the operand: which optional arguments are given. */
enum { CONTAINER = 1, CREATE_LEVEL = 2 };
enum { IMAGE = 1, LEVEL = 2, LEVEL_R = 4 };
/* Words of a context. */
enum { OWN = 0, RECEIVED = 2, CONTEXT_WORDS = 4 };

static bool verify(const struct image *image, const struct object *object) {
    const uint32_t *config = config_of(image, object);
    if (object->config_words < NAMES || object->context_words != CONTEXT_WORDS ||
        object->capacity != image->max_sids || !config[DEGREES] || config[DEGREES] > MAX_DEGREES ||
        config[CATEGORIES] > MAX_CATEGORIES)
        return false;
    uint32_t room = object->config_words - NAMES;
    uint32_t degrees = kss_names_verify(config + NAMES, room, config[DEGREES]);
    if (!degrees || degrees == room)
        return false;
    room -= degrees;
    return kss_names_verify(config + NAMES + degrees, room, config[CATEGORIES]) == room;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    static const struct needs of[METHODS] = {
        [CREATE] = {5, CLAIM_WRITES + CONTEXT_WORDS},
        [DELETE] = {4, DROP_WRITES},
        [UPGRADE] = {5, 2},
        [EXECUTE] = {4, CLAIM_WRITES + CONTEXT_WORDS},
        [CALL] = {2, 0}, [INVOKE] = {2, 0}, [READ] = {2, 0}, [WRITE] = {2, 0},
        [QUERY_LEVEL] = {1, 0}, [DEGREE] = {1, 0}, [CATEGORY] = {1, 0},
    };
    static const uint8_t bits[METHODS] = {
        [CREATE] = CONTAINER | CREATE_LEVEL, [DELETE] = CONTAINER, [UPGRADE] = CONTAINER,
        [EXECUTE] = IMAGE | LEVEL | LEVEL_R,
    };
    (void)image, (void)object;
    if (method >= METHODS || operand & ~(uint64_t)bits[method])
        return false;
    *needs = of[method];
    return true;
}

static uint64_t read_level(const uint32_t *words) { return words[0] | (uint64_t)words[1] << 32; }

static void write_level(const struct call *c, uint32_t *words, uint64_t level) {
    set_word(c->tx, words, (uint32_t)level);
    set_word(c->tx, words + 1, (uint32_t)(level >> 32));
}

static uint64_t level_of(const struct call *c, uint64_t sid) {
    const uint32_t *context = context_of(c, sid);
    return context ? read_level(context + OWN) : NO_LEVEL;
}

/* Is there a level `a`, and does `b` dominate it? */
static bool below(uint64_t a, uint64_t b) {
    uint64_t categories = (1ull << MAX_CATEGORIES) - 1;
    return a != NO_LEVEL && b != NO_LEVEL && a >> MAX_CATEGORIES <= b >> MAX_CATEGORIES &&
           !(a & ~b & categories);
}

static bool assign(const struct call *c, uint64_t sid, uint64_t level, uint64_t received) {
    uint32_t *context = context_of(c, sid);
    if (!context)
        context = claim_context(c, sid);
    if (!context)
        return false;
    write_level(c, context + OWN, level);
    write_level(c, context + RECEIVED, received);
    return true;
}

/* Arguments of create, delete, upgrade: source, target, container, driver, level. */
static bool dominated(const struct call *c, uint64_t level) {
    const uint64_t *a = c->arguments;
    return below(level, level_of(c, a[0])) && below(level, level_of(c, a[3])) &&
           (!(c->operand & CONTAINER) || below(level, level_of(c, a[2])));
}

static bool create(const struct call *c) {
    const uint64_t *a = c->arguments;
    uint64_t level = c->operand & CREATE_LEVEL ? a[4] : level_of(c, a[0]);
    return dominated(c, level) && assign(c, a[1], level, NO_LEVEL);
}

static bool delete(const struct call *c) {
    const uint64_t *a = c->arguments;
    uint64_t level = level_of(c, a[1]);
    bool contained = !(c->operand & CONTAINER) || level_of(c, a[2]) != NO_LEVEL;
    return contained && below(level, level_of(c, a[0])) && below(level, level_of(c, a[3])) &&
           drop_context(c, a[1]);
}

static bool upgrade(const struct call *c) {
    const uint64_t *a = c->arguments;
    uint64_t old = level_of(c, a[1]), level = a[4];
    if (old == level || !below(old, level) || !dominated(c, level))
        return false;
    write_level(c, context_of(c, a[1]) + OWN, level);
    return true;
}

/* Arguments: image, target, level, levelR. */
static bool execute(const struct call *c) {
    const uint64_t *a = c->arguments;
    uint64_t image = c->operand & IMAGE ? level_of(c, a[0]) : NO_LEVEL;
    uint64_t level = c->operand & LEVEL ? a[2] : image;
    uint64_t received = c->operand & LEVEL_R ? a[3] : level;
    return (!(c->operand & IMAGE) || below(level, image)) && below(received, level) &&
           assign(c, a[1], level, received);
}

/* May data flow from the target to the source? */
static bool receives(const struct call *c) {
    const uint32_t *context = context_of(c, c->arguments[0]);
    uint64_t target = level_of(c, c->arguments[1]);
    return context && (below(read_level(context + OWN), target) || below(read_level(context + RECEIVED), target));
}

static uint64_t part_of_level(const struct call *c, struct text text) {
    const uint32_t *degrees = config_of(c->tx->image, c->object) + NAMES;
    uint32_t number = kss_names_find(c->method == DEGREE ? degrees : degrees + *degrees, text);
    if (number == NONE)
        return NO_LEVEL;
    return c->method == DEGREE ? (uint64_t)number << MAX_CATEGORIES : 1ull << number;
}

static bool call(const struct call *c, uint64_t *result) {
    struct text text;
    switch (c->method) {
    case CREATE: *result = create(c); return true;
    case DELETE: *result = delete(c); return true;
    case UPGRADE: *result = upgrade(c); return true;
    case EXECUTE: *result = execute(c); return true;
    case CALL:
    case READ: *result = receives(c); return true;
    case INVOKE:
    case WRITE: *result = below(level_of(c, c->arguments[1]), level_of(c, c->arguments[0])); return true;
    case QUERY_LEVEL: *result = level_of(c, c->arguments[0]); return *result != NO_LEVEL;
    default:
        if (!text_at(c->message, c->arguments[0], &text))
            return false;
        *result = part_of_level(c, text);
        return true;
    }
}

const struct model kss_model_mic = {.verify = verify, .verify_call = verify_call, .call = call};
