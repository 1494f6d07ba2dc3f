/* Runs one case, says what it came to, and then waits. Which one, CASE in the environment says, or
 * the first message of the input `case`: it is kept in a shared region, which outlives restarts,
 * so that a partition that starts again does the same again. */
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

static const char *choose(void)
{
    char *kept = khs_region("choice", NULL);
    const char *given = khs_env("CASE");
    if (given)
        return given;
    if (!kept[0])
        khs_input_receive(khs_input("case"), kept, 63, KHS_TIMEOUT_MAX_US);
    return kept;
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
    const char *name = choose();
    const struct hostile_case *chosen = find(name);
    if (!chosen) {
        khs_print("there is no case %s\n", name);
        return;
    }
    khs_print("%s begins\n", name);
    khs_result result = chosen->run();
    khs_print("%s: %s %u\n", name, khs_code_name(result.code), result.value);
    for (;;)
        pass_time(1);
}
