/* The audit level: one number of the whole policy, kept under SID 0, which no
 * resource has. Without a context it is what the configuration says. */
#include "model.h"

static bool verify(const struct image *image, const struct object *object) {
    (void)image;
    return object->config_words == 1 && object->context_words == 1;
}

static bool verify_call(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs) {
    (void)image, (void)object;
    *needs = (struct needs){.arguments = 1, .writes = CLAIM_WRITES + 1};
    return method == 0 && operand == 0;
}

static bool call(const struct transaction *tx, const struct object *object, uint32_t method,
                 const uint64_t *arguments, uint64_t operand, uint64_t *result) {
    (void)method, (void)operand;
    uint32_t *context = kss_table_find(tx, object, 0);
    if (!context)
        context = kss_table_claim(tx, object, 0);
    if (context)
        set_word(tx, context, (uint32_t)arguments[0]);
    *result = context != NULL;
    return true;
}

const struct model kss_model_level = {.verify = verify, .verify_call = verify_call, .call = call};
