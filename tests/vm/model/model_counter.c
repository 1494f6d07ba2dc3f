/* Counter: its context is how often it was counted. Configuration: how often at most. The operand
 * of `begins` is a text: its first word, and its size. */
#include "model.h"

enum { COUNT, USED, BEGINS, METHODS };

static bool verify(const struct image *image, const struct object *object) {
    (void)image;
    return object->config_words == 1 && object->context_words == 1;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    (void)object;
    *needs = (struct needs){.arguments = 1, .writes = method == COUNT ? CLAIM_WRITES + 1 : 0};
    uint64_t words = count_of(image, WORDS), first = operand >> 32, size = (uint32_t)operand;
    if (method == BEGINS)
        return first <= words && size <= (words - first) * 4;
    return method < METHODS && operand == 0;
}

static bool begins(const struct call *c, uint64_t *result) {
    const uint8_t *wanted = (const uint8_t *)(words_of(c->tx->image) + (c->operand >> 32));
    uint32_t size = (uint32_t)c->operand;
    struct text text;
    if (!text_at(c->message, c->arguments[0], &text))
        return false;
    *result = text.size >= size;
    for (uint32_t i = 0; *result && i < size; i++)
        *result = text.bytes[i] == wanted[i];
    return true;
}

static bool call(const struct call *c, uint64_t *result) {
    if (c->method == BEGINS)
        return begins(c, result);
    uint32_t *context = find_context(c->tx, c->object, (uint32_t)c->arguments[0]);
    if (c->method == USED) {
        *result = context ? *context : 0;
        return true;
    }
    uint32_t used = context ? *context : 0;
    if (used == *config_of(c->tx->image, c->object))
        return true;
    if (!context)
        context = kss_table_claim(c->tx, c->object, (uint32_t)c->arguments[0]);
    if (context)
        set_word(c->tx, context, used + 1);
    *result = context != NULL;
    return true;
}

const struct model kss_model_counter = {.verify = verify, .verify_call = verify_call, .call = call};
