/* The kernels: checksum, sorting, matrices, a list, a state machine, division, floating point. */
#include "work.h"
#include <stdbool.h>
#include <stddef.h>

enum { BYTES = 1024, ITEMS = 256, SIDE = 12, NODES = 200, DIVISIONS = 64, SAMPLES = 128 };

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static uint32_t mix(uint32_t hash, uint32_t value)
{
    return (hash ^ value) * 16777619u;
}

static uint32_t checksum(uint32_t seed)
{
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < BYTES; i++) {
        crc ^= next(&seed) & 0xff;
        for (uint32_t bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

static void sort(uint32_t *items, int32_t low, int32_t high)
{
    while (low < high) {
        uint32_t pivot = items[low + (high - low) / 2];
        int32_t i = low, j = high;
        while (i <= j) {
            while (items[i] < pivot)
                i++;
            while (items[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t swap = items[i];
                items[i++] = items[j];
                items[j--] = swap;
            }
        }
        sort(items, low, j);
        low = i;
    }
}

static uint32_t sorting(uint32_t seed)
{
    static uint32_t items[ITEMS];
    for (uint32_t i = 0; i < ITEMS; i++)
        items[i] = next(&seed);
    sort(items, 0, ITEMS - 1);
    uint32_t hash = 0;
    for (uint32_t i = 0; i < ITEMS; i++)
        hash = mix(hash, i && items[i] < items[i - 1] ? UINT32_MAX : items[i]);
    return hash;
}

static uint32_t matrices(uint32_t seed)
{
    static uint32_t a[SIDE][SIDE], b[SIDE][SIDE];
    uint32_t hash = 0;
    for (uint32_t i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = next(&seed) & 0xff;
        b[i / SIDE][i % SIDE] = next(&seed) & 0xff;
    }
    for (uint32_t i = 0; i < SIDE; i++)
        for (uint32_t j = 0; j < SIDE; j++) {
            uint32_t sum = 0;
            for (uint32_t k = 0; k < SIDE; k++)
                sum += a[i][k] * b[k][j];
            hash = mix(hash, sum);
        }
    return hash;
}

struct node {
    struct node *next;
    uint32_t value;
};

/* Builds a list, turns it round, and takes every third node out. */
static uint32_t list(uint32_t seed)
{
    static struct node nodes[NODES];
    struct node *head = NULL, *turned = NULL;
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[i] = (struct node){ head, next(&seed) };
        head = &nodes[i];
    }
    while (head) {
        struct node *rest = head->next;
        head->next = turned;
        turned = head;
        head = rest;
    }
    uint32_t hash = 0, place = 0;
    for (struct node **at = &turned; *at; place++) {
        if (place % 3 == 0)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    for (const struct node *n = turned; n; n = n->next)
        hash = mix(hash, n->value);
    return hash;
}

/* Recognises numbers in a stream of characters. */
static uint32_t state_machine(uint32_t seed)
{
    enum { START, SIGN, DIGITS, POINT, FRACTION, BAD } state = START;
    static const char alphabet[] = "0123456789+-., x";
    uint32_t counts[BAD + 1] = { 0 }, hash = 0;
    for (uint32_t i = 0; i < BYTES; i++) {
        char c = alphabet[next(&seed) % (sizeof alphabet - 1)];
        bool digit = c >= '0' && c <= '9';
        switch (state) {
        case START: state = digit ? DIGITS : c == '+' || c == '-' ? SIGN : c == ' ' ? START : BAD; break;
        case SIGN: state = digit ? DIGITS : BAD; break;
        case DIGITS: state = digit ? DIGITS : c == '.' ? POINT : c == ' ' ? START : BAD; break;
        case POINT: state = digit ? FRACTION : BAD; break;
        case FRACTION: state = digit ? FRACTION : c == ' ' ? START : BAD; break;
        case BAD: state = c == ' ' || c == ',' ? START : BAD; break;
        }
        counts[state]++;
    }
    for (uint32_t i = 0; i <= BAD; i++)
        hash = mix(hash, counts[i]);
    return hash;
}

static uint32_t division(uint32_t seed)
{
    uint32_t hash = 0;
    for (uint32_t i = 0; i < DIVISIONS; i++) {
        uint32_t a = next(&seed) << 8 | 1, b = (next(&seed) & 0xffff) + 1;
        uint64_t wide = (uint64_t)a << 16 | b;
        hash = mix(mix(hash, a / b), a % b);
        hash = mix(hash, (uint32_t)(wide / (b * 3 + 1)));
    }
    return hash;
}

/* A filter and Newton's square root in double precision, which rounds alike everywhere. */
static uint32_t floating(uint32_t seed)
{
    double level = 0, power = 0;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        double sample = (double)(int32_t)(next(&seed) & 0xffff) - 32768.0;
        level += (sample - level) * 0.125;
        power += level * level;
    }
    double root = power > 1 ? power : 1;
    for (uint32_t i = 0; i < 40; i++)
        root = (root + power / root) * 0.5;
    return (uint32_t)(int32_t)root;
}

uint32_t work(uint32_t seed)
{
    uint32_t hash = checksum(seed);
    hash = mix(hash, sorting(seed));
    hash = mix(hash, matrices(seed));
    hash = mix(hash, list(seed));
    hash = mix(hash, state_machine(seed));
    hash = mix(hash, division(seed));
    return mix(hash, floating(seed));
}
