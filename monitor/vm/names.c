#include "names.h"

enum { ALL, COUNT, NAMES };
enum { NUMBER, START, SIZE, NAME_WORDS };

static const uint32_t *name_at(const uint32_t *words, uint32_t index) {
    return words + NAMES + (size_t)index * NAME_WORDS;
}

static struct text text_of(const uint32_t *words, const uint32_t *name) {
    return (struct text){.bytes = (const uint8_t *)(words + name[START]), .size = name[SIZE]};
}

/* Below 0, 0 or above as `a` sorts before, with or after `b`. */
static int compare(struct text a, struct text b) {
    uint32_t shared = minimum(a.size, b.size);
    for (uint32_t i = 0; i < shared; i++)
        if (a.bytes[i] != b.bytes[i])
            return a.bytes[i] < b.bytes[i] ? -1 : 1;
    return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

uint32_t kss_names_verify(const uint32_t *words, uint64_t room, uint32_t limit) {
    if (room < NAMES || words[ALL] > room || words[ALL] < NAMES ||
        words[COUNT] > (words[ALL] - NAMES) / NAME_WORDS)
        return 0;
    for (uint32_t i = 0; i < words[COUNT]; i++) {
        const uint32_t *name = name_at(words, i);
        if (name[NUMBER] >= limit || name[START] > words[ALL] ||
            name[SIZE] > (uint64_t)(words[ALL] - name[START]) * 4)
            return 0;
        if (i && compare(text_of(words, name - NAME_WORDS), text_of(words, name)) >= 0)
            return 0;
    }
    return words[ALL];
}

uint32_t kss_names_find(const uint32_t *words, struct text text) {
    uint32_t low = 0, high = words[COUNT];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint32_t *name = name_at(words, middle);
        int order = compare(text, text_of(words, name));
        if (order == 0)
            return name[NUMBER];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NONE;
}
