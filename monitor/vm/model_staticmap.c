/* StaticMap: integers under fixed keys for each SID. Its context is the working copy, then the
 * base.
 *
 * Configuration: keys, type of the values, their defaults, then the keys as names. A key is
 * given by its number; `text`, `bytes` and `listed` find that of a text or bytes of the message,
 * or of as many computed bytes as their operand says. A number that no key has is not found. */
#include "model.h"
#include "names.h"

#define MAX_KEYS 0xffffu

enum { KEYS, TYPE, DEFAULTS };
enum { INIT, FINI, SET, COMMIT, ROLLBACK, GET, GET_UNCOMMITED, TEXT, BYTES, LISTED, METHODS };

static uint32_t value_words(const uint32_t *config) { return width_of(config[TYPE]) > 4 ? 2 : 1; }

/* Of all values together. */
static uint32_t copy_words(const uint32_t *config) { return config[KEYS] * value_words(config); }

static bool verify(const struct image *image, const struct object *object) {
    const uint32_t *config = config_of(image, object);
    if (object->config_words < DEFAULTS || config[KEYS] > MAX_KEYS || config[TYPE] >= INTEGER_TYPES)
        return false;
    uint32_t before = DEFAULTS + copy_words(config);
    if (object->config_words < before || object->context_words != 2 * copy_words(config))
        return false;
    uint32_t after = object->config_words - before;
    return after && kss_names_verify(config + before, after, config[KEYS]) == after;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    const uint32_t *config = config_of(image, object);
    uint32_t all = copy_words(config);
    const struct needs of[METHODS] = {
        [INIT] = {1, CLAIM_WRITES + 2 * all}, [FINI] = {1, DROP_WRITES},  [SET] = {3, value_words(config)},
        [COMMIT] = {1, all},                  [ROLLBACK] = {1, all},      [GET] = {2, 0},
        [GET_UNCOMMITED] = {2, 0},            [TEXT] = {1, 0},            [BYTES] = {1, 0},
        [LISTED] = {(uint32_t)operand, 0},
    };
    if (method >= METHODS || operand > (method == LISTED ? REGISTERS : 0))
        return false;
    *needs = of[method];
    return true;
}

static void copy(const struct call *c, uint32_t *to, const uint32_t *from) {
    for (uint32_t i = 0; i < copy_words(config_of(c->tx->image, c->object)); i++)
        set_word(c->tx, &to[i], from[i]);
}

static void set(const struct call *c, const uint32_t *config, uint32_t *working) {
    uint32_t *word = working + c->arguments[1] * value_words(config);
    set_word(c->tx, word, (uint32_t)c->arguments[2]);
    if (value_words(config) == 2)
        set_word(c->tx, word + 1, (uint32_t)(c->arguments[2] >> 32));
}

static uint64_t get(const struct call *c, const uint32_t *config, const uint32_t *from) {
    const uint32_t *word = from + c->arguments[1] * value_words(config);
    if (value_words(config) == 2)
        return word[0] | (uint64_t)word[1] << 32;
    return is_signed(config[TYPE]) ? (uint64_t)(int32_t)word[0] : word[0];
}

/* The number of a key that is not constant. */
static bool key_number(const struct call *c, const uint32_t *names, uint64_t *result) {
    uint8_t listed[REGISTERS];
    struct text text = {.bytes = listed, .size = (uint32_t)c->operand};
    if (c->method == LISTED)
        for (uint32_t i = 0; i < c->operand; i++)
            listed[i] = (uint8_t)c->arguments[i];
    else if (!(c->method == TEXT ? text_at : bytes_at)(c->message, c->arguments[0], &text))
        return false;
    *result = kss_names_find(names, text);
    return true;
}

static bool call(const struct call *c, uint64_t *result) {
    const uint32_t *config = config_of(c->tx->image, c->object), *defaults = config + DEFAULTS;
    uint32_t all = copy_words(config);
    if (c->method >= TEXT)
        return key_number(c, defaults + all, result);
    uint32_t *working = c->method == INIT ? claim_context(c, c->arguments[0]) : context_of(c, c->arguments[0]);
    bool value = c->method == GET || c->method == GET_UNCOMMITED, keyed = value || c->method == SET;
    if (!working || (keyed && c->arguments[1] >= config[KEYS]))
        return !value;
    uint32_t *base = working + all;
    *result = true;
    switch (c->method) {
    case INIT:
        copy(c, working, defaults);
        copy(c, base, defaults);
        return true;
    case FINI:
        *result = drop_context(c, c->arguments[0]);
        return true;
    case SET:
        set(c, config, working);
        return true;
    case COMMIT:
        copy(c, base, working);
        return true;
    case ROLLBACK:
        copy(c, working, base);
        return true;
    default:
        *result = get(c, config, c->method == GET ? base : working);
        return true;
    }
}

const struct model kss_model_staticmap = {.verify = verify, .verify_call = verify_call, .call = call};
