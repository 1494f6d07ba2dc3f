/* Flow: a finite state machine for each SID; its context is the state's number.
 *
 * Configuration: states, initial, then a row of bits for each state: those that
 * can be entered from it. The operand of `enter` is a state, that of `allow` the
 * first word of a row of bits. `enter_at` and `is_at` take the state as their
 * second argument. `state` is `query` for audit records: without a state it is
 * UINT32_MAX. */
#include "model.h"

enum { STATES, INITIAL, ROWS_OF_BITS };
enum { INIT, FINI, ENTER, ALLOW, QUERY, ENTER_AT, IS_AT, STATE, METHODS };

static uint32_t row_words(uint32_t states) { return (states + 31) / 32; }

static bool bit(const uint32_t *row, uint32_t number) { return row[number / 32] >> (number % 32) & 1; }

static bool verify(const struct image *image, const struct object *object) {
    if (object->config_words < ROWS_OF_BITS || object->context_words != 1 ||
        object->capacity != image->max_sids)
        return false;
    const uint32_t *config = config_of(image, object);
    uint32_t states = config[STATES];
    return states > 0 && states <= 0xffff && config[INITIAL] < states &&
           object->config_words == ROWS_OF_BITS + (uint64_t)states * row_words(states);
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    static const struct needs of[METHODS] = {
        [INIT] = {1, CLAIM_WRITES + 1}, [FINI] = {1, DROP_WRITES}, [ENTER] = {1, 1},    [ALLOW] = {1, 0},
        [QUERY] = {1, 0},               [ENTER_AT] = {2, 1},       [IS_AT] = {2, 0}, [STATE] = {1, 0},
    };
    uint32_t states = config_of(image, object)[STATES];
    if (method >= METHODS)
        return false;
    *needs = of[method];
    if (method == ENTER)
        return operand < states;
    if (method == ALLOW)
        return operand <= count_of(image, WORDS) && row_words(states) <= count_of(image, WORDS) - operand;
    return operand == 0;
}

static bool enter(const struct transaction *tx, const uint32_t *config, uint32_t *context, uint64_t state) {
    if (!context || state >= config[STATES] ||
        !bit(config + ROWS_OF_BITS + *context * row_words(config[STATES]), (uint32_t)state))
        return false;
    set_word(tx, context, (uint32_t)state);
    return true;
}

static bool call(const struct call *c, uint64_t *result) {
    const struct transaction *tx = c->tx;
    const uint32_t *config = config_of(tx->image, c->object);
    uint64_t sid = c->arguments[0];
    uint32_t *context = context_of(c, sid);
    switch (c->method) {
    case INIT:
        context = claim_context(c, sid);
        if (context)
            set_word(tx, context, config[INITIAL]);
        *result = context != NULL;
        return true;
    case FINI:
        *result = drop_context(c, sid);
        return true;
    case ENTER:
        *result = enter(tx, config, context, c->operand);
        return true;
    case ENTER_AT:
        *result = enter(tx, config, context, c->arguments[1]);
        return true;
    case IS_AT:
        *result = context && *context == c->arguments[1];
        return true;
    case ALLOW:
        *result = context && bit(words_of(tx->image) + c->operand, *context);
        return true;
    case STATE:
        *result = context ? *context : UINT32_MAX;
        return true;
    default: /* QUERY */
        if (context)
            *result = *context;
        return context != NULL;
    }
}

const struct model kss_model_flow = {.verify = verify, .verify_call = verify_call, .call = call};
