/* Record: a SID's context is words that programs load and store; what they mean, the program knows.
 * Users' own models are compiled to it.
 *
 * No configuration. Arguments: the SID; of `store`, then the value. The operand of `load` and
 * `store` is a word's number, shifted by two bits: WIDE tells that the value takes the next word,
 * too, SIGNED that one of a word is extended by its sign. What cannot be done is an error. */
#include "model.h"

enum { HAS, CREATE, DROP, LOAD, STORE, METHODS };
enum { WIDE = 1, SIGNED = 2, NUMBER = 4 };

static bool verify(const struct image *image, const struct object *object) {
    (void)image;
    return object->config_words == 0;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    (void)image;
    const struct needs of[METHODS] = {
        [HAS] = {1, 0},
        [CREATE] = {1, CLAIM_WRITES + object->context_words},
        [DROP] = {1, DROP_WRITES},
        [LOAD] = {1, 0},
        [STORE] = {2, 2},
    };
    if (method >= METHODS)
        return false;
    *needs = of[method];
    return method >= LOAD ? operand / NUMBER + (operand & WIDE) < object->context_words : !operand;
}

static bool create(const struct call *c) {
    uint32_t *word = claim_context(c, c->arguments[0]);
    for (uint32_t i = 0; word && i < c->object->context_words; i++)
        set_word(c->tx, word + i, 0);
    return word;
}

static uint64_t load(const uint32_t *word, uint64_t operand) {
    if (operand & WIDE)
        return word[0] | (uint64_t)word[1] << 32;
    return operand & SIGNED ? (uint64_t)(int32_t)word[0] : word[0];
}

static void store(const struct call *c, uint32_t *word, uint64_t value) {
    set_word(c->tx, word, (uint32_t)value);
    if (c->operand & WIDE)
        set_word(c->tx, word + 1, (uint32_t)(value >> 32));
}

static bool call(const struct call *c, uint64_t *result) {
    uint64_t sid = c->arguments[0];
    if (c->method == CREATE)
        return create(c);
    if (c->method == DROP)
        return drop_context(c, sid);
    uint32_t *word = context_of(c, sid);
    if (c->method == HAS)
        *result = word != NULL;
    if (c->method == HAS || !word)
        return c->method == HAS;
    word += c->operand / NUMBER;
    if (c->method == LOAD)
        *result = load(word, c->operand);
    else
        store(c, word, c->arguments[1]);
    return true;
}

const struct model kss_model_record = {.verify = verify, .verify_call = verify_call, .call = call};
