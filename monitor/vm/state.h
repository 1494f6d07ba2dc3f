/* The state block: the last event's calls, a log of words to undo, the objects' words, the last
 * event's notes, its audit record. */
#ifndef KSS_STATE_H
#define KSS_STATE_H

#include "image.h"

struct state {
    uint32_t constant; /* the last calls lie in the image, from call `first` on */
    uint32_t first;
    uint32_t writes; /* in the log */
    uint32_t notes;  /* of the last event */
    uint32_t level;  /* audit level when the last event arrived; NONE if it is still in force */
    uint32_t zero;
};

/* The value of an expression, or the state that a rule's SID is in before the call. */
struct note {
    uint32_t rule; /* NONE if it was not taken */
    uint32_t value;
};

struct write {
    uint32_t word;
    uint32_t old;
};

/* What an event may change, and how to take it back. */
struct transaction {
    const struct image *image;
    struct state *state;
    kss_call *calls;
    struct write *log;
    uint32_t *words;
    struct note *notes;
};

static inline struct transaction transaction_of(const kss_policy *policy) {
    const struct image *image = image_of(policy);
    struct state *state = (struct state *)(void *)policy->state;
    kss_call *calls = (kss_call *)(void *)(state + 1);
    struct write *log = (struct write *)(void *)(calls + image->max_calls);
    uint32_t *words = (uint32_t *)(void *)(log + image->max_writes);
    struct note *notes = (struct note *)(void *)(words + image->state_words);
    return (struct transaction){
        .image = image, .state = state, .calls = calls, .log = log, .words = words, .notes = notes};
}

/* Every change of an object's state goes through here. The log has room: the
 * verifier has counted the writes of every program. */
static inline void set_word(const struct transaction *tx, uint32_t *word, uint32_t value) {
    tx->log[tx->state->writes++] = (struct write){.word = (uint32_t)(word - tx->words), .old = *word};
    *word = value;
}

static inline void commit(const struct transaction *tx) { tx->state->writes = 0; }
void kss_undo(const struct transaction *tx);

/* Drops the contexts of a SID from all objects, within the transaction. */
void kss_drop(const struct transaction *tx, uint32_t sid);

#endif
