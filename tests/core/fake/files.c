/* Inputs and scripts from files. They are made by our own tests: a mistake ends the run. */
#include "host.h"

#include <stdlib.h>
#include <string.h>

uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        die("cannot read %s", path);
    long length = ftell(file);
    rewind(file);
    *size = (size_t)length;
    uint8_t *bytes = allocate(*size + 1);
    if (fread(bytes, 1, *size, file) != *size)
        die("cannot read %s", path);
    fclose(file);
    return bytes;
}

/* Records {u64 tick, u32 kind, u32 target, u32 size, u32 0, bytes padded to 8}; kind 1 is a
 * policy at a frame instead of a tick. */
void load_inputs(fake_host *host, const char *path)
{
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    host->inputs = allocate(sizeof *host->inputs * (size / 24 + 1));
    host->swaps = allocate(sizeof *host->swaps * (size / 24 + 1));
    for (size_t at = 0; at < size;) {
        uint32_t kind;
        memcpy(&kind, bytes + at + 8, 4);
        khs_input *input = kind ? &host->swaps[host->swap_count++] : &host->inputs[host->input_count++];
        memcpy(&input->tick, bytes + at, 8);
        memcpy(&input->target, bytes + at + 12, 4);
        memcpy(&input->size, bytes + at + 16, 4);
        input->data = bytes + at + 24;
        at += 24 + ((size_t)input->size + 7) / 8 * 8;
    }
    host->announced = host->input_count;
}

static uint64_t number(const char *word)
{
    char *end;
    uint64_t value = word ? strtoull(word, &end, 0) : 0;
    if (!word || *end)
        die("script: '%s' is no number", word ? word : "");
    return value;
}

static operand operand_of(const char *word)
{
    if (*word == '@')
        return (operand){OPERAND_LOAD, number(word + 1)};
    if (!strcmp(word, "result"))
        return (operand){.kind = OPERAND_RESULT};
    return (operand){OPERAND_NUMBER, number(word)};
}

static void hex(op *o, const char *digits)
{
    o->size = (uint32_t)strlen(digits) / 2;
    o->bytes = allocate(o->size);
    for (uint32_t i = 0; i < o->size; i++) {
        unsigned byte;
        if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
            die("script: bad bytes");
        o->bytes[i] = (uint8_t)byte;
    }
}

static op parse(char *line)
{
    static const char *const names[] = {"run", "call", "wait", "fault", "poke", "peek", "jump", "again"};
    char *word = strtok(line, " \n");
    op o = {.kind = OP_AGAIN + 1};
    for (uint32_t i = 0; i <= OP_AGAIN; i++)
        if (!strcmp(word, names[i]))
            o.kind = (op_kind)i;
    if (o.kind > OP_AGAIN)
        die("script: no op '%s'", word);
    if (o.kind != OP_WAIT)
        o.value = number(strtok(NULL, " \n"));
    while ((word = strtok(NULL, " \n"))) {
        if (o.kind == OP_POKE)
            hex(&o, word);
        else if (o.count < KHS_EVENT_ARGS_MAX)
            o.args[o.count++] = operand_of(word);
    }
    return o;
}

/* "start PARTITION N" and "handler PARTITION ADDRESS" begin a section, all other lines
 * are ops: see enum op_kind. */
void load_script(fake_host *host, const char *path)
{
    char line[8192], name[16];
    unsigned long long partition, where;
    FILE *file = fopen(path, "r");
    if (!file)
        die("cannot read %s", path);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%15s %lli %lli", name, (long long *)&partition, (long long *)&where) == 3 &&
            (!strcmp(name, "start") || !strcmp(name, "handler"))) {
            bool start = name[0] == 's';
            host->sections = realloc(host->sections, ++host->section_count * sizeof *host->sections);
            host->sections[host->section_count - 1] = (section){.partition = (uint32_t)partition,
                                                                .start = start ? (uint32_t)where : 0,
                                                                .handler = start ? 0 : where};
            continue;
        }
        if (line[0] == '\n')
            continue;
        if (!host->section_count)
            die("script: an op before the first section");
        section *s = &host->sections[host->section_count - 1];
        s->ops = realloc(s->ops, ++s->count * sizeof *s->ops);
        s->ops[s->count - 1] = parse(line);
    }
    fclose(file);
}
