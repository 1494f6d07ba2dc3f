/* Dictionaries of all shapes against a plain list, built with ASan and UBSan: random keys, keys that
 * differ in few bits, keys of one bucket; changes undone now and then. Prints the number of changes;
 * exits 1 with a line on stderr if one goes wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"

enum { ROUNDS = 1500, STEPS = 250, KEYS = 40, MOST_WORDS = 3 };

static uint64_t seed;

static uint32_t below(uint32_t bound) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

static void wrong(const char *what) {
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
}

struct world {
    struct dictionary d;
    struct state state;
    struct transaction tx;
    struct write log[64];
    uint32_t keys[KEYS][MOST_WORDS];
    bool in[KEYS];
    uint32_t value[KEYS], count;
};

/* All different in the first word. */
static void choose_keys(struct world *w, uint32_t kind) {
    static const uint32_t factor[] = {
        1, 2654435761u, 0x01010101, /* near each other, far apart, many equal bits */
        0x144cbc89,                 /* of one bucket: the inverse of the hash's factor */
        1u << 26,
    };
    for (uint32_t i = 0; i < KEYS; i++)
        for (uint32_t word = 0; word < MOST_WORDS; word++)
            w->keys[i][word] = i * factor[kind];
}

static uint32_t *value_of(struct world *w, uint32_t key) { return find_key(&w->d, w->keys[key]); }

static void check(struct world *w) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const uint32_t *value = value_of(w, i);
        if (!value != !w->in[i])
            wrong("what is in it");
        if (value && w->d.value_words && *value != w->value[i])
            wrong("a value");
    }
    for (uint32_t place = 0; place < kss_dictionary_places(&w->d); place++)
        live += kss_dictionary_at(&w->d, place) != NULL;
    if (live != w->count)
        wrong("places");
}

static void add(struct world *w, uint32_t key) {
    uint32_t *value = kss_dictionary_add(&w->tx, &w->d, w->keys[key]);
    bool fits = w->in[key] || w->count < w->d.capacity;
    if (w->state.writes > ADD_WRITES(w->d.key_words) || (w->in[key] && w->state.writes))
        wrong("writes of add");
    if (!value != !fits)
        wrong("add");
    if (!value)
        return;
    if (w->d.value_words)
        set_word(&w->tx, value, w->value[key] = below(1000));
    w->count += !w->in[key];
    w->in[key] = true;
}

static void take(struct world *w, uint32_t key) {
    if (kss_dictionary_remove(&w->tx, &w->d, w->keys[key]) != w->in[key])
        wrong("remove");
    if (w->state.writes > REMOVE_WRITES)
        wrong("writes of remove");
    w->count -= w->in[key];
    w->in[key] = false;
}

static void clear(struct world *w) {
    kss_dictionary_clear(&w->tx, &w->d);
    if (w->state.writes != CLEAR_WRITES)
        wrong("writes of clear");
    memset(w->in, 0, sizeof w->in);
    w->count = 0;
}

static void step(struct world *w, uint32_t *before, size_t size) {
    struct world old = *w;
    memcpy(before, w->d.words, size);
    uint32_t what = below(40), key = below(minimum(KEYS, 2 * w->d.capacity + 3));
    if (what == 0)
        clear(w);
    else if (what < 22)
        add(w, key);
    else
        take(w, key);
    if (below(3)) {
        commit(&w->tx);
    } else {
        kss_undo(&w->tx);
        if (memcmp(before, w->d.words, size))
            wrong("undo");
        memcpy(w->in, old.in, sizeof w->in);
        memcpy(w->value, old.value, sizeof w->value);
        w->count = old.count;
    }
    check(w);
}

static void play(uint32_t number) {
    struct world w = {0};
    seed = number;
    w.d = (struct dictionary){NULL, 1 + below(20), 1 + below(MOST_WORDS), below(2)};
    if (number % 5 == 3)
        w.d.key_words = 1;
    choose_keys(&w, number % 5);
    size_t size = (size_t)kss_dictionary_words(&w.d) * sizeof(uint32_t);
    uint32_t *words = malloc(size), *before = malloc(size);
    for (size_t i = 0; i < size / sizeof *words; i++)
        words[i] = below(1u << 20); /* what was there before does not matter */
    w.d.words = words;
    w.tx = (struct transaction){.state = &w.state, .log = w.log, .words = words};
    clear(&w);
    commit(&w.tx);
    for (uint32_t i = 0; i < STEPS; i++)
        step(&w, before, size);
    free(words);
    free(before);
}

int main(void) {
    for (uint32_t number = 0; number < ROUNDS; number++)
        play(number);
    printf("%d\n", ROUNDS * STEPS);
    return 0;
}
