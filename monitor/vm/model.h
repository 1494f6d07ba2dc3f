/* A security model whose objects the VM knows: one file each and a line in models.c. */
#ifndef KSS_MODEL_H
#define KSS_MODEL_H

#include "message.h"
#include "table.h"

/* What one call of a method takes, for the verifier. */
struct needs {
    uint32_t arguments; /* registers */
    uint32_t writes;    /* most words of state it changes */
};

/* One call of a method. */
struct call {
    const struct transaction *tx;
    const struct object *object;
    const struct message *message; /* of the event; empty if it has none */
    const uint64_t *arguments;     /* registers: as many as `needs` says */
    uint64_t operand;              /* constant, as `verify_call` has seen it */
    uint32_t method;
};

struct model {
    /* Is the object's configuration consistent? Its words lie within the image. */
    bool (*verify)(const struct image *image, const struct object *object);
    /* Does the method exist, and is its operand right for the object? Sets `needs`. */
    bool (*verify_call)(const struct image *image, const struct object *object, uint32_t method,
                        uint64_t operand, struct needs *needs);
    /* Calls a method: a rule sets `result` (0 before) to whether it grants, an expression
     * to its value. Returns false if the expression cannot be evaluated. */
    bool (*call)(const struct call *call, uint64_t *result);
};

extern const struct model *const kss_models[]; /* by number */
extern const uint32_t kss_model_count;

static inline const struct model *model_of(const struct object *object) { return kss_models[object->model]; }

static inline const uint32_t *config_of(const struct image *image, const struct object *object) {
    return words_of(image) + object->config;
}

/* The permissible range of SIDs; 0 is none. */
static inline bool is_sid(uint64_t value) { return value != 0 && value <= UINT32_MAX; }

/* The context of a SID, NULL if it has none. */
static inline uint32_t *context_of(const struct call *c, uint64_t sid) {
    return is_sid(sid) ? find_context(c->tx, c->object, (uint32_t)sid) : NULL;
}

/* A context for a SID that has none, to be filled; NULL if it has one or there is no room. */
static inline uint32_t *claim_context(const struct call *c, uint64_t sid) {
    bool may = is_sid(sid) && !context_of(c, sid);
    return may ? kss_table_claim(c->tx, c->object, (uint32_t)sid) : NULL;
}

/* Takes the context of a SID away; false if it has none. */
static inline bool drop_context(const struct call *c, uint64_t sid) {
    return is_sid(sid) && kss_table_drop(c->tx, c->object, (uint32_t)sid);
}

#endif
