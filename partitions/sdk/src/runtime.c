/* From the entry point to main, and what start information tells. SPDX-License-Identifier: MIT */
#include <khs/khs.h>

const struct khs_start_info *khs_start;

/* Called by _start; main that returns has nothing left to do. */
_Noreturn void khs_begin(const struct khs_start_info *info);
_Noreturn void khs_begin(const struct khs_start_info *info)
{
    khs_start = info;
    main();
    for (;;) {
        khs_partition_mode_set(KHS_MODE_IDLE);
        khs_wait(); /* a policy may deny even that */
    }
}

static const void *at(uint32_t offset)
{
    return (const uint8_t *)khs_start + offset;
}

/* Records of all lists begin with the offset of their name. */
static uint32_t find(struct khs_start_list list, size_t record, const char *name)
{
    for (uint32_t i = 0; i < list.count; i++) {
        const uint32_t *name_at = at(list.at + i * (uint32_t)record);
        if (strcmp(at(*name_at), name) == 0)
            return i;
    }
    return KHS_NOTHING;
}

const char *khs_name(void)
{
    return at(khs_start->name_at);
}

uint32_t khs_port(const char *channel)
{
    return find(khs_start->ports, sizeof(struct khs_start_port), channel);
}

const struct khs_start_port *khs_port_info(uint32_t port)
{
    if (port >= khs_start->ports.count)
        return NULL;
    return (const struct khs_start_port *)at(khs_start->ports.at) + port;
}

uint32_t khs_input(const char *name)
{
    return find(khs_start->inputs, sizeof(struct khs_start_input), name);
}

void *khs_region(const char *name, size_t *size)
{
    uint32_t index = find(khs_start->regions, sizeof(struct khs_start_region), name);
    if (index == KHS_NOTHING)
        return NULL;
    const struct khs_start_region *region =
        (const struct khs_start_region *)at(khs_start->regions.at) + index;
    if (size)
        *size = (size_t)region->size;
    return (void *)(uintptr_t)region->address;
}

const struct khs_start_device *khs_device(const char *name)
{
    uint32_t index = find(khs_start->devices, sizeof(struct khs_start_device), name);
    if (index == KHS_NOTHING)
        return NULL;
    return (const struct khs_start_device *)at(khs_start->devices.at) + index;
}

void *khs_heap(size_t *size)
{
    if (size)
        *size = (size_t)khs_start->heap_size;
    return (void *)(uintptr_t)khs_start->heap;
}

uint32_t khs_partition(const char *name)
{
    return find(khs_start->partitions, sizeof(struct khs_start_text), name);
}

uint32_t khs_schedule(const char *name)
{
    return find(khs_start->schedules, sizeof(struct khs_start_text), name);
}

static const char *text(struct khs_start_list list, uint32_t index)
{
    return at(((const struct khs_start_text *)at(list.at))[index].at);
}

const char *khs_arg(uint32_t index)
{
    return index < khs_start->args.count ? text(khs_start->args, index) : NULL;
}

const char *khs_env(const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < khs_start->env.count; i++) {
        const char *entry = text(khs_start->env, i);
        if (khs_starts_with(entry, strlen(entry), name) && entry[length] == '=')
            return entry + length + 1;
    }
    return NULL;
}

static uint32_t digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (uint32_t)(lower - 'a' + 10) : UINT32_MAX;
}

uint32_t khs_env_number(const char *name, uint32_t otherwise)
{
    const char *value = khs_env(name);
    if (!value)
        return otherwise;
    uint32_t base = value[0] == '0' && (value[1] | 0x20) == 'x' ? 16 : 10, number = 0;
    const char *p = base == 16 ? value + 2 : value;
    if (!*p)
        return otherwise;
    for (; *p; p++) {
        uint32_t next = digit(*p);
        if (next >= base || number > (UINT32_MAX - next) / base)
            return otherwise;
        number = number * base + next;
    }
    return number;
}

uint64_t khs_now_ns(void)
{
    struct khs_time time = { 0 };
    khs_time_get(&time);
    return time.ns;
}

/* ------------------------------------------------------------ interrupts */

static khs_interrupt_handler *interrupt_handler;

/* The kernel calls it like a function, on the partition's own stack, and keeps the context. */
static void interrupt_entry(uint32_t irq)
{
    interrupt_handler(irq);
    khs_interrupt_return();
}

uint32_t khs_interrupts(khs_interrupt_handler *handler, uint32_t flags)
{
    interrupt_handler = handler;
    return khs_interrupt_attach(handler ? (uintptr_t)interrupt_entry : 0, flags).code;
}
