#include "verify.h"

/* A row's answer exists, and its transitions lead to rows; a sink's to itself. */
static bool verify_row(const struct automaton *automaton, const uint16_t *row, uint32_t number) {
    uint32_t columns = 1u << automaton->row_bits;
    bool good = row[0] < automaton->answers;
    for (uint32_t i = 1; i < columns; i++) {
        uint32_t next = row[i] >> automaton->row_bits;
        good &= next << automaton->row_bits == row[i] && next < automaton->rows;
        good &= number >= automaton->sinks || next == number;
    }
    return good;
}

static bool verify_head(const struct automaton *automaton) {
    bool good = automaton->row_bits >= 1 && automaton->row_bits <= 8 && automaton->rows >= 1 &&
                automaton->rows <= MAX_TRANSITIONS >> automaton->row_bits &&
                automaton->start < automaton->rows && automaton->sinks <= automaton->rows;
    for (uint32_t i = 0; good && i < sizeof automaton->column; i++)
        good = automaton->column[i] && !(automaton->column[i] >> automaton->row_bits);
    return good;
}

bool kss_verify_automata(struct verifier *v) {
    const struct image *image = v->image;
    for (uint32_t i = 0; i < count_of(image, AUTOMATA); i++) {
        const struct automaton *automaton = &automata_of(image)[i];
        if (!verify_head(automaton) ||
            !take(v, TRANSITIONS, automaton->transition, automaton->rows << automaton->row_bits))
            return kss_defect(v, KSS_BAD_TABLE, AUTOMATA, i);
        const uint16_t *row = transitions_of(image) + automaton->transition;
        for (uint32_t number = 0; number < automaton->rows; number++, row += 1u << automaton->row_bits)
            if (!verify_row(automaton, row, number))
                return kss_defect(v, KSS_BAD_TABLE, TRANSITIONS, (uint32_t)(row - transitions_of(image)));
    }
    return all_taken(v, TRANSITIONS);
}
