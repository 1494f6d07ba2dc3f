/* HashSet: a set of entries for each SID; its context is a dictionary without values.
 *
 * Configuration: entries that a set holds, then for each part of an entry the words it takes.
 * Arguments: the SID, then the parts. */
#include "lookup.h"
#include "model.h"

#define MAX_PARTS 32u

enum { SET_SIZE, PARTS };
enum { INIT, FINI, ADD, REMOVE, CONTAINS, METHODS };

static uint32_t parts_of(const struct object *object) { return object->config_words - PARTS; }

static uint32_t key_words_of(const struct image *image, const struct object *object) {
    uint32_t words = 0;
    for (uint32_t i = 0; i < parts_of(object); i++)
        words += config_of(image, object)[PARTS + i];
    return words;
}

static bool verify(const struct image *image, const struct object *object) {
    const uint32_t *config = config_of(image, object);
    if (object->config_words <= PARTS || parts_of(object) > MAX_PARTS || !config[SET_SIZE])
        return false;
    for (uint32_t i = 0; i < parts_of(object); i++)
        if (config[PARTS + i] != 1 && config[PARTS + i] != 2)
            return false;
    struct dictionary set = {.capacity = config[SET_SIZE], .key_words = key_words_of(image, object)};
    return kss_dictionary_words(&set) == object->context_words;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    uint32_t whole = 1 + parts_of(object), key_words = key_words_of(image, object);
    const struct needs of[METHODS] = {
        [INIT] = {1, CLAIM_WRITES + CLEAR_WRITES},
        [FINI] = {1, DROP_WRITES},
        [ADD] = {whole, ADD_WRITES(key_words)},
        [REMOVE] = {whole, REMOVE_WRITES},
        [CONTAINS] = {whole, 0},
    };
    if (method >= METHODS || operand)
        return false;
    *needs = of[method];
    return true;
}

/* Returns the words of the key. */
static uint32_t read_entry(const struct call *c, const uint32_t *config, uint32_t *key) {
    uint32_t words = 0;
    for (uint32_t i = 0; i < parts_of(c->object); i++) {
        uint64_t part = c->arguments[1 + i];
        key[words++] = (uint32_t)part;
        if (config[PARTS + i] == 2)
            key[words++] = (uint32_t)(part >> 32);
    }
    return words;
}

static bool call(const struct call *c, uint64_t *result) {
    uint32_t key[2 * MAX_PARTS];
    uint64_t sid = c->arguments[0];
    if (c->method == FINI) {
        *result = drop_context(c, sid);
        return true;
    }
    uint32_t *context = c->method == INIT ? claim_context(c, sid) : context_of(c, sid);
    if (!context)
        return c->method != CONTAINS;
    *result = true;
    const uint32_t *config = config_of(c->tx->image, c->object);
    struct dictionary set = {.words = context, .capacity = config[SET_SIZE]};
    if (c->method != INIT)
        set.key_words = read_entry(c, config, key);
    switch (c->method) {
    case INIT: kss_dictionary_clear(c->tx, &set); return true;
    case ADD: *result = kss_dictionary_add(c->tx, &set, key) != NULL; return true;
    case REMOVE: kss_dictionary_remove(c->tx, &set, key); return true; /* or it was absent */
    default: *result = find_key(&set, key) != NULL; return true;
    }
}

const struct model kss_model_hashset = {.verify = verify, .verify_call = verify_call, .call = call};
