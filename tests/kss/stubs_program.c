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
    static struct stubs_IEvery_Every_req m = {
        .header = stubs_IEvery_Every_req_header,
        .s8 = -3,
        .u64 = (UINT64_C(1) << 63) + 5,
        .grid = {{1, 2, 3}, {4, 5, 6}},
        .one = {.id = 9, .h = {5, 6}},
        .either = {.tag = stubs_IEvery_Either_inner, .inner = {.a = 77}},
        .default_ = 4,
    };
    const struct stubs_IEvery_Inner inners[2] = {{.a = 1, .b = 2}, {.a = 3, .b = 4}};
    const struct stubs_IEvery_Inner seventh = {.a = 7, .b = 8};
    const struct stubs_IEvery_Outer outer = {.id = 10};
    const uint64_t one = 1, two[2] = {2, 3};
    const uint8_t triple[1][3] = {{1, 2, 3}};
    uint32_t length = stubs_IEvery_Every_req_size, nothing = 7;

    memset(m.arena, 0xee, sizeof m.arena); /* what is skipped must be cleared */
    /* in any order, and again */
    REQUIRE(stubs_IEvery_Every_req_set_text(&m, &length, "olleh"));
    REQUIRE(stubs_IEvery_Every_req_set_text(&m, &length, "hello"));
    REQUIRE(!stubs_IEvery_Every_req_set_text(&m, &length, "hello!"));
    REQUIRE(!stubs_IEvery_Every_req_set_text(&m, &nothing, "hello"));
    REQUIRE(stubs_IEvery_Every_req_set_one_raw(&m, &length, 1, "abc", 3));
    REQUIRE(!stubs_IEvery_Every_req_set_one_raw(&m, &length, 2, "abc", 3));
    REQUIRE(!stubs_IEvery_Every_req_set_one_raw(&m, &length, 0, "abcd", 4));
    REQUIRE(!stubs_IEvery_Every_req_set_one_inners_name(&m, &length, 0, "x"));
    REQUIRE(stubs_IEvery_Every_req_set_one_inners(&m, &length, inners, 2));
    REQUIRE(stubs_IEvery_Every_req_set_one_inners_name(&m, &length, 0, "x"));
    REQUIRE(stubs_IEvery_Every_req_set_one_inners_name(&m, &length, 1, ""));
    REQUIRE(!stubs_IEvery_Every_req_set_one_inners_name(&m, &length, 2, "x"));
    REQUIRE(stubs_IEvery_Every_req_set_many(&m, &length, &outer, 1));
    REQUIRE(stubs_IEvery_Every_req_set_many_raw(&m, &length, 0, 0, "q", 1));
    REQUIRE(stubs_IEvery_Every_req_set_many_inners(&m, &length, 0, &seventh, 1));
    REQUIRE(stubs_IEvery_Every_req_set_many_inners_name(&m, &length, 0, 0, "seventh"));
    REQUIRE(stubs_IEvery_Every_req_set_nested(&m, &length, 0, 3));
    REQUIRE(!stubs_IEvery_Every_req_set_nested(&m, &length, 0, 0x20000003));
    REQUIRE(stubs_IEvery_Every_req_set_nested_item(&m, &length, 0, &one, 1));
    REQUIRE(stubs_IEvery_Every_req_set_nested_item(&m, &length, 2, two, 2));
    REQUIRE(!stubs_IEvery_Every_req_set_nested_item(&m, &length, 3, two, 2));
    REQUIRE(stubs_IEvery_Every_req_set_triples(&m, &length, triple[0], 1));
    REQUIRE(stubs_IEvery_Every_req_set_either_inner_name(&m, &length, "within"));
    m.either.tag = stubs_IEvery_Either_big;
    REQUIRE(!stubs_IEvery_Every_req_set_either_inner_name(&m, &length, "no"));
    m.either.tag = stubs_IEvery_Either_inner;
    REQUIRE(length <= stubs_IEvery_Every_req_size + sizeof m.arena);
    return fwrite(&m, 1, length, stdout) == 0;
}

static int read_message(void)
{
    static struct stubs_IEvery_Every_req message;
    const struct stubs_IEvery_Every_req *m = &message;
    struct stubs_IEvery_Inner inner;
    struct stubs_IEvery_Outer outer;
    uint8_t triple[3];
    uint32_t size, length = (uint32_t)fread(&message, 1, sizeof message, stdin);

    REQUIRE(length >= stubs_IEvery_Every_req_size);
    printf("{\"s8\": %d, \"grid\": %d", m->s8, m->grid[1][2]);
    printf(", \"raw\": [\"");
    const uint8_t *raw = stubs_IEvery_Every_req_get_one_raw(m, length, 0, &size);
    REQUIRE(raw && size == 0);
    raw = stubs_IEvery_Every_req_get_one_raw(m, length, 1, &size);
    printf("\", \"%.*s\"]", (int)size, (const char *)raw);
    REQUIRE(!stubs_IEvery_Every_req_get_one_raw(m, length, 2, &size) && size == 0);
    REQUIRE(stubs_IEvery_Every_req_count_one_inners(m, length) == 2);
    printf(", \"names\": [\"%s\", \"%s\", \"%s\"]",
           stubs_IEvery_Every_req_get_one_inners_name(m, length, 0),
           stubs_IEvery_Every_req_get_one_inners_name(m, length, 1),
           stubs_IEvery_Every_req_get_one_inners_name(m, length, 2));
    REQUIRE(stubs_IEvery_Every_req_get_one_inners(m, length, 1, &inner));
    REQUIRE(!stubs_IEvery_Every_req_get_one_inners(m, length, 2, &inner));
    printf(", \"inner_b\": %d", (int)inner.b);
    REQUIRE(stubs_IEvery_Every_req_get_many(m, length, 0, &outer) && outer.id == 10);
    printf(", \"many\": %u", stubs_IEvery_Every_req_count_many(m, length));
    raw = stubs_IEvery_Every_req_get_many_raw(m, length, 0, 0, &size);
    printf(", \"many_raw\": \"%.*s\"", (int)size, (const char *)raw);
    printf(", \"many_name\": \"%s\"",
           stubs_IEvery_Every_req_get_many_inners_name(m, length, 0, 0));
    printf(", \"nested\": [");
    for (uint32_t i = 0; i < stubs_IEvery_Every_req_count_nested(m, length); i++) {
        printf("%s[", i ? ", " : "");
        uint64_t item;
        for (uint32_t j = 0; stubs_IEvery_Every_req_get_nested_item(m, length, i, j, &item); j++)
            printf("%s%u", j ? ", " : "", (unsigned)item);
        printf("]");
    }
    REQUIRE(stubs_IEvery_Every_req_get_triples(m, length, 0, &triple));
    printf("], \"triples\": [%d, %d, %d]", triple[0], triple[1], triple[2]);
    printf(", \"text\": \"%s\"", stubs_IEvery_Every_req_get_text(m, length));
    printf(", \"tag\": %u, \"a\": %u", m->either.tag, m->either.inner.a);
    printf(", \"within\": \"%s\"", stubs_IEvery_Every_req_get_either_inner_name(m, length));
    printf(", \"default\": %u}\n", m->default_);
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "write") == 0 ? write_message() : read_message();
}
