/* The audit level: one number of the whole policy, kept under SID 0, which no
 * resource has. Without a context it is what the configuration says. */
#include "model.h"

enum { SET_LEVEL, METHODS };

static bool verify(const struct image *image, const struct object *object) {
    return object->config_words == 1 && object->context_words == 1 && config_of(image, object)[0] <= UINT8_MAX;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    (void)image, (void)object;
    *needs = (struct needs){.arguments = 1, .writes = CLAIM_WRITES + 1};
    return method < METHODS && operand == 0;
}

static bool call(const struct call *c, uint64_t *result) {
    uint32_t *context = find_context(c->tx, c->object, 0);
    if (c->tx->state->level == NONE) /* the event is recorded as of the level before it */
        c->tx->state->level = context ? *context : config_of(c->tx->image, c->object)[0];
    if (!context)
        context = kss_table_claim(c->tx, c->object, 0);
    if (context)
        set_word(c->tx, context, (uint8_t)c->arguments[0]);
    *result = context != NULL;
    return true;
}

const struct model kss_model_level = {.verify = verify, .verify_call = verify_call, .call = call};
