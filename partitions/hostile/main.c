/* Runs the case that CASE names, says what it came to, and then waits. */
#include "hostile.h"

struct hostile_ends ends;

static const struct hostile_case *const lists[] = {
    memory_cases, instruction_cases, hypercall_cases, message_cases,
    peer_cases,   interrupt_cases,   flow_cases,
};

static const struct hostile_case *find(const char *name)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct hostile_case *c = lists[i]; c->name; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    return NULL;
}

void pass_time(uint32_t periods)
{
    khs_ready();
    while (periods--)
        khs_period_wait();
}

void main(void)
{
    ends = (struct hostile_ends){
        .service = khs_port("service"),
        .back = khs_port("back"),
        .noise = khs_port("noise"),
        .level = khs_port("level"),
        .answer = khs_port("answer"),
        .hint = khs_port("hint"),
        .shared = khs_region("shared", NULL),
        .readable = khs_region("readable", NULL),
    };
    const char *name = khs_env("CASE");
    const struct hostile_case *chosen = name ? find(name) : NULL;
    if (!chosen) {
        khs_print("no case %s\n", name ? name : "given");
        return;
    }
    khs_print("%s begins\n", name);
    khs_result result = chosen->run();
    khs_print("%s: %s %u\n", name, khs_code_name(result.code), result.value);
    for (;;)
        pass_time(1);
}
