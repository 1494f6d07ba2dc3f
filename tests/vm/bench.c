/* Nanoseconds a verdict takes, for cases in the format of harness.c: the last event of each case (or
 * as many as the second argument says, in turn) is judged many times, after the others once. Prints
 * a line a case: nanoseconds, granted; then the nanoseconds of a table look-up. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kss.h"

enum { ROUNDS = 9, REPEATS = 200000 };

static uint32_t number(const uint8_t **at) {
    uint32_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return value;
}

static kss_event read_event(const uint8_t **at) {
    kss_event event = {.kind = number(at)};
    event.src_class = number(at);
    event.dst_class = number(at);
    event.src_sid = number(at);
    event.dst_sid = number(at);
    event.released_sid = number(at);
    uint32_t size = number(at);
    if (size != UINT32_MAX) {
        event.message = *at;
        event.message_size = size;
        *at += size;
    }
    return event;
}

/* The events in turn, again and again. */
static double measure(kss_policy *policy, const kss_event *events, uint32_t count, uint32_t *granted) {
    double best = 1e9;
    uint32_t next = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int i = 0; i < REPEATS; i++) {
            *granted = kss_judge(policy, &events[next]).granted;
            next = next + 1 < count ? next + 1 : 0;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        double took = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
        if (took / REPEATS < best)
            best = took / REPEATS;
    }
    return best;
}

/* A look-up in a table, each of which needs the one before: what a byte of a text costs at least. */
static double measure_look_up(void) {
    static uint16_t table[2048];
    volatile uint32_t sink;
    double best = 1e9;
    for (uint32_t i = 0; i < 2048; i++)
        table[i] = (uint16_t)((i * 1229 + 1) % 2048);
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec start, end;
        uint32_t at = 0;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int i = 0; i < REPEATS; i++)
            at = table[at];
        clock_gettime(CLOCK_MONOTONIC, &end);
        sink = at;
        double took = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
        if (took / REPEATS < best)
            best = took / REPEATS;
    }
    (void)sink;
    return best;
}

static void run_case(const uint8_t **at, uint32_t measured) {
    uint32_t size = number(at), granted = 0, count = 0;
    uint64_t *image = malloc(size + 8);
    memcpy(image, *at, size);
    *at += size;
    if (kss_verify(image, size, NULL) != KSS_OK)
        exit(1);
    void *state = malloc(kss_state_size(image));
    kss_policy policy;
    kss_init(&policy, image, size, state, kss_state_size(image));
    kss_event *last = malloc(measured * sizeof *last);
    for (uint32_t events = number(at); events; events--) {
        kss_event event = read_event(at);
        kss_judge(&policy, &event);
        if (events <= measured)
            last[count++] = event;
    }
    double best = measure(&policy, last, count, &granted);
    printf("%.2f %u\n", best, granted);
    free(last);
    free(state);
    free(image);
}

int main(int count, char **arguments) {
    FILE *file = count >= 2 ? fopen(arguments[1], "rb") : NULL;
    uint32_t measured = count > 2 ? (uint32_t)atoi(arguments[2]) : 1;
    if (!file || fseek(file, 0, SEEK_END))
        return 2;
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *all = malloc(size);
    if (fread(all, 1, size, file) != size)
        return 2;
    for (const uint8_t *at = all; at < all + size;)
        run_case(&at, measured);
    printf("%.2f\n", measure_look_up());
    fclose(file);
    free(all);
    return 0;
}
