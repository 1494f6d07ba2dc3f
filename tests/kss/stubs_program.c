/* Builds a message of stubs.IEvery with its stubs, or prints one that it reads from stdin. */
#include <stdio.h>
#include <string.h>

#include "every.h"

#define REQUIRE(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            return 1; \
        } \
    } while (0)

static int write_message(void)
{
    static struct stubs_IEvery_Every_in_buf b;
    struct stubs_IEvery_Every_in *m = &b.message;
    struct stubs_IEvery_Inner inners[2] = {{.a = 1, .b = 2}, {.a = 3, .b = 4}};
    struct stubs_IEvery_Inner seventh = {.a = 7, .b = 8};
    struct stubs_IEvery_Outer outer = {.id = 10};
    uint64_t one = 1, two[2] = {2, 3};
    struct kss_msg_span none[3] = {{0, 0}, {0, 0}, {0, 0}};
    uint8_t triple[1][3] = {{1, 2, 3}};

    stubs_IEvery_Every_in_buf_init(&b, 3);
    m->s8 = -3;
    m->u64 = (UINT64_C(1) << 63) + 5;
    for (unsigned i = 0; i < 6; i++)
        m->grid[i / 3][i % 3] = (uint16_t)(i + 1);
    m->one.id = 9;
    m->one.h.handle = 5;
    m->one.h.rights = 6;
    m->either.tag = stubs_IEvery_Either_big_TAG;
    m->either.big = 77;
    m->default_ = 4;
    /* in any order */
    REQUIRE(stubs_IEvery_Every_in_set_text(&b, "hello", 5));
    REQUIRE(!stubs_IEvery_Every_in_set_text(&b, "hello!", 6));
    REQUIRE(!stubs_IEvery_Every_in_set_text(&b, "a\0b", 3));
    REQUIRE(stubs_IEvery_Every_in_set_one_raw(&b, 1, "abc", 3));
    REQUIRE(!stubs_IEvery_Every_in_set_one_raw(&b, 2, "abc", 3));
    REQUIRE(!stubs_IEvery_Every_in_set_one_raw(&b, 0, "abcd", 4));
    REQUIRE(stubs_IEvery_Every_in_set_one_inners(&b, inners, 2));
    REQUIRE(stubs_IEvery_Every_in_set_one_inners_name(&b, 0, "x", 1));
    REQUIRE(stubs_IEvery_Every_in_set_many(&b, &outer, 1));
    REQUIRE(stubs_IEvery_Every_in_set_many_raw(&b, 0, 0, "q", 1));
    REQUIRE(stubs_IEvery_Every_in_set_many_inners(&b, 0, &seventh, 1));
    REQUIRE(stubs_IEvery_Every_in_set_many_inners_name(&b, 0, 0, "seventh", 7));
    REQUIRE(stubs_IEvery_Every_in_set_nested(&b, none, 3));
    REQUIRE(stubs_IEvery_Every_in_set_nested_item(&b, 0, &one, 1));
    REQUIRE(stubs_IEvery_Every_in_set_nested_item(&b, 2, two, 2));
    REQUIRE(!stubs_IEvery_Every_in_set_nested_item(&b, 3, two, 2));
    REQUIRE(stubs_IEvery_Every_in_set_triples(&b, (const uint8_t *)triple, 1));
    REQUIRE(stubs_IEvery_Every_in_buf_size(&b) <= sizeof b.message + sizeof b.arena);
    return fwrite(&b, 1, stubs_IEvery_Every_in_buf_size(&b), stdout) == 0;
}

static int read_message(void)
{
    static _Alignas(8) uint8_t data[4096];
    const struct stubs_IEvery_Every_in *m = (const void *)data;
    struct stubs_IEvery_Inner inner;
    struct stubs_IEvery_Outer outer;
    uint8_t triple[3];
    uint32_t n;

    REQUIRE(fread(data, 1, sizeof data, stdin) >= sizeof *m);
    printf("{\"s8\": %d, \"grid\": %d", m->s8, m->grid[1][2]);
    printf(", \"raw\": [\"");
    const uint8_t *raw = stubs_IEvery_Every_in_get_one_raw(m, 0, &n);
    REQUIRE(raw);
    printf("%.*s\", \"", (int)n, (const char *)raw);
    raw = stubs_IEvery_Every_in_get_one_raw(m, 1, &n);
    printf("%.*s\"]", (int)n, (const char *)raw);
    REQUIRE(!stubs_IEvery_Every_in_get_one_raw(m, 2, &n));
    REQUIRE(stubs_IEvery_Every_in_count_one_inners(m) == 2);
    const char *name = stubs_IEvery_Every_in_get_one_inners_name(m, 0, &n);
    REQUIRE(strlen(name) == n);
    printf(", \"names\": [\"%s\", \"%s\"]", name,
           stubs_IEvery_Every_in_get_one_inners_name(m, 1, &n));
    printf(", \"beyond\": %s",
           stubs_IEvery_Every_in_get_one_inners_name(m, 2, &n) ? "true" : "false");
    REQUIRE(stubs_IEvery_Every_in_get_one_inners(m, 1, &inner));
    REQUIRE(!stubs_IEvery_Every_in_get_one_inners(m, 2, &inner));
    printf(", \"inner_b\": %d", (int)inner.b);
    REQUIRE(stubs_IEvery_Every_in_get_many(m, 0, &outer) && outer.id == 10);
    printf(", \"many\": %u", stubs_IEvery_Every_in_count_many(m));
    raw = stubs_IEvery_Every_in_get_many_raw(m, 0, 0, &n);
    printf(", \"many_raw\": \"%.*s\"", (int)n, (const char *)raw);
    printf(", \"many_name\": \"%s\"", stubs_IEvery_Every_in_get_many_inners_name(m, 0, 0, &n));
    REQUIRE(!stubs_IEvery_Every_in_get_many_inners_name(m, 1, 0, &n));
    printf(", \"nested\": [");
    for (uint32_t i = 0; i < stubs_IEvery_Every_in_count_nested(m); i++) {
        printf("%s[", i ? ", " : "");
        uint64_t item;
        for (uint32_t j = 0; stubs_IEvery_Every_in_get_nested_item(m, i, j, &item); j++)
            printf("%s%u", j ? ", " : "", (unsigned)item);
        printf("]");
    }
    REQUIRE(stubs_IEvery_Every_in_get_triples(m, 0, &triple));
    printf("], \"triples\": [%d, %d, %d]", triple[0], triple[1], triple[2]);
    printf(", \"text\": \"%s\"", stubs_IEvery_Every_in_get_text(m, &n));
    printf(", \"tag\": %u, \"big\": %u", m->either.tag, (unsigned)m->either.big);
    printf(", \"default\": %u}\n", m->default_);
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "write") == 0 ? write_message() : read_message();
}
