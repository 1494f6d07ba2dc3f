/* A scripted partition: one op after the other, at exactly the ticks it says. */
#include "host.h"

#include <string.h>

/* The u32 at a guest address, 0 where there is none. */
static uint32_t load(const fake_host *host, uint32_t partition, uint64_t address)
{
    uint32_t word = 0;
    const uint8_t *from = khs_span(host->core, partition, address, sizeof word, 0);
    if (from)
        memcpy(&word, from, sizeof word);
    return word;
}

static uint64_t evaluate(const fake_host *host, uint32_t partition, operand o)
{
    switch (o.kind) {
    case OPERAND_LOAD:
        return load(host, partition, o.number);
    case OPERAND_RESULT:
        return host->cpus[partition].now.value;
    default:
        return o.number;
    }
}

static void poke(const fake_host *host, uint32_t partition, const op *o)
{
    uint8_t *to = khs_span(host->core, partition, o->value, o->size, KHS_W);
    if (!to)
        die("script: partition %u pokes 0x%llx", partition, (unsigned long long)o->value);
    memcpy(to, o->bytes, o->size);
}

static void peek(const fake_host *host, uint32_t partition, const op *o)
{
    uint32_t size = (uint32_t)o->args[0].number;
    const uint8_t *from = khs_span(host->core, partition, o->value, size, 0);
    if (!from)
        die("script: partition %u peeks 0x%llx", partition, (unsigned long long)o->value);
    fprintf(host->observed, "%u %llx ", partition, (unsigned long long)o->value);
    for (uint32_t i = 0; i < size; i++)
        fprintf(host->observed, "%02x", from[i]);
    fputc('\n', host->observed);
}

/* The op at hand, NULL at the end of the script: from there on the partition spins. */
static const op *current(const fake_host *host, const cpu_context *now)
{
    if (now->section == KHS_NONE)
        return NULL;
    const section *s = &host->sections[now->section];
    return now->at < s->count ? &s->ops[now->at] : NULL;
}

static void again(cpu_context *now, const op *o)
{
    uint32_t *counter = &now->counters[o->args[1].number];
    if (*counter < o->args[0].number) {
        ++*counter;
        now->at = (uint32_t)o->value;
    } else {
        *counter = 0;
        now->at++;
    }
}

khs_return guest_run(fake_host *host, uint32_t partition, uint64_t budget)
{
    cpu_context *now = &host->cpus[partition].now;
    khs_return why = {.kind = KHS_RET_BUDGET};
    while (why.ticks < budget) {
        const op *o = current(host, now);
        if (!o) {
            why.ticks = budget;
            return why;
        }
        switch (o->kind) {
        case OP_RUN:
            if (now->left == 0)
                now->left = o->value;
            uint64_t part = khs_min(now->left, budget - why.ticks);
            why.ticks += part;
            now->left -= part;
            now->at += now->left == 0;
            break;
        case OP_CALL:
            for (uint32_t i = 0; i < KHS_EVENT_ARGS_MAX; i++)
                host->cpus[partition].arguments[i] = i < o->count ? evaluate(host, partition, o->args[i]) : 0;
            now->at++;
            why.ticks++;
            why.kind = KHS_RET_HYPERCALL;
            why.number = (uint32_t)o->value;
            return why;
        case OP_WAIT:
            now->at++;
            why.ticks++;
            why.kind = KHS_RET_WAIT;
            return why;
        case OP_FAULT:
            why.kind = KHS_RET_FAULT;
            why.fault.kind = (uint32_t)o->value;
            why.fault.address = o->args[0].number;
            why.fault.detail = (uint32_t)o->args[1].number;
            why.fault.pc = now->at;
            return why;
        case OP_POKE:
            poke(host, partition, o);
            now->at++;
            break;
        case OP_PEEK:
            peek(host, partition, o);
            now->at++;
            break;
        case OP_JUMP:
            now->at = (uint32_t)o->value;
            why.ticks++;
            break;
        case OP_AGAIN:
            again(now, o);
            why.ticks++;
            break;
        }
    }
    return why;
}
