/* Unicorn engines: opening one for a partition, running it under the abort guard, and
 * what hooks latch. The first event of a run wins: some instructions (stores made by a
 * translator helper, port I/O) run on for a moment after a hook asked to stop. */
#include <stdio.h>

#include "internal.h"

uint8_t *khs_guest_at(const khs_host *host, uint32_t partition, uint64_t address, uint32_t rights, uint64_t *room)
{
    khs_slice slice = host->partitions[partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        const khs_cfg_map *map = &host->maps[i];
        const khs_region_memory *region = &host->memory.regions[map->region];
        if (address < map->address || address - map->address >= region->size)
            continue;
        if ((map->rights & rights) != rights)
            return NULL;
        *room = region->size - (address - map->address);
        return region->base + (address - map->address);
    }
    return NULL;
}

bool khs_cpu_find_code(khs_cpu *cpu, uint64_t address)
{
    const khs_host *host = cpu->host;
    if (address - cpu->code_start < cpu->code_size)
        return true;
    khs_slice slice = host->partitions[cpu->partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        const khs_cfg_map *map = &host->maps[i];
        const khs_region_memory *region = &host->memory.regions[map->region];
        if (!(map->rights & KHS_X) || address < map->address || address - map->address >= region->size)
            continue;
        cpu->code = region->base;
        cpu->lengths = region->lengths;
        cpu->code_start = map->address;
        cpu->code_size = region->size;
        return true;
    }
    return false;
}

const uint8_t *khs_cpu_code(khs_cpu *cpu, uint64_t address, uint8_t *buffer, uint32_t *size)
{
    uint64_t offset = address - cpu->code_start;
    if (offset < cpu->code_size && cpu->code_size - offset >= *size)
        return cpu->code + offset;
    uint32_t done = 0;
    while (done < *size && khs_cpu_find_code(cpu, address + done)) {
        offset = address + done - cpu->code_start;
        while (offset < cpu->code_size && done < *size)
            buffer[done++] = cpu->code[offset++];
    }
    *size = done;
    return buffer;
}

/* ------------------------------------------------------------ latches */

/* True for the first event of a run. No further block is entered. */
static bool latch(khs_cpu *cpu, uc_engine *uc, uint32_t reason)
{
    uc_emu_stop(uc);
    if (cpu->reason != KHS_RUNNING_ON)
        return false;
    cpu->reason = reason;
    cpu->kept = cpu->left;
    cpu->left = 0;
    return true;
}

void khs_latch_fault(khs_cpu *cpu, uc_engine *uc, const khs_latch *fault, bool begun)
{
    const khs_block *block = &cpu->now;
    if (!latch(cpu, uc, KHS_AT_FAULT))
        return;
    if (begun && fault->pc >= block->pc && fault->pc < khs_block_end(block))
        cpu->kept += block->ticks - cpu->host->arch->distance(cpu, block->pc, fault->pc);
    cpu->fault = *fault;
    cpu->pc = fault->pc;
}

void khs_latch_trap(khs_cpu *cpu, uc_engine *uc)
{
    if (cpu->reason == KHS_RUNNING_ON && khs_host_trap(cpu, uc))
        return;
    if (latch(cpu, uc, KHS_AT_TRAP))
        cpu->pc = khs_block_end(&cpu->now);
}

void khs_latch_other_trap(khs_cpu *cpu, uc_engine *uc, uint32_t kind, uint32_t detail, uint64_t pc)
{
    if (!latch(cpu, uc, KHS_AT_FAULT))
        return;
    cpu->kept++;
    cpu->pc = pc;
    cpu->fault = (khs_latch){.kind = kind, .detail = detail, .pc = pc};
}

void khs_latch_stop(khs_cpu *cpu, uc_engine *uc, uint32_t reason, uint64_t pc)
{
    if (latch(cpu, uc, reason))
        cpu->pc = pc;
}

void khs_latch_budget(khs_cpu *cpu, uc_engine *uc, uint64_t pc)
{
    uc_emu_stop(uc);
    if (cpu->reason != KHS_RUNNING_ON)
        return;
    cpu->reason = KHS_AT_BUDGET;
    cpu->pc = pc;
}

static uint64_t engine_pc(const khs_cpu *cpu, uc_engine *uc)
{
    uint64_t pc = 0;
    uc_reg_read(uc, cpu->host->arch->pc, &pc);
    return pc;
}

static bool on_memory(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *data)
{
    khs_cpu *cpu = data;
    (void)size, (void)value;
    khs_latch fault = {.pc = engine_pc(cpu, uc), .address = address};
    switch (type) {
    case UC_MEM_READ_PROT: fault.detail = 1; /* fall through */
    case UC_MEM_READ_UNMAPPED: fault.kind = KHS_FAULT_READ; break;
    case UC_MEM_WRITE_PROT: fault.detail = 1; /* fall through */
    case UC_MEM_WRITE_UNMAPPED: fault.kind = KHS_FAULT_WRITE; break;
    case UC_MEM_FETCH_PROT: fault.detail = 1; /* fall through */
    default: fault.kind = KHS_FAULT_EXECUTE; break;
    }
    /* Code is fetched when a block is translated, before its block hook. */
    khs_latch_fault(cpu, uc, &fault, fault.kind != KHS_FAULT_EXECUTE);
    return false;
}

/* ------------------------------------------------------------ opening */

static bool map_regions(khs_cpu *cpu, uc_engine *uc)
{
    const khs_host *host = cpu->host;
    khs_slice slice = host->partitions[cpu->partition].maps;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        const khs_cfg_map *map = &host->maps[i];
        const khs_region_memory *region = &host->memory.regions[map->region];
        uint32_t rights = (map->rights & KHS_R ? UC_PROT_READ : 0u) | (map->rights & KHS_W ? UC_PROT_WRITE : 0u) |
                          (map->rights & KHS_X ? UC_PROT_EXEC : 0u);
        if (uc_mem_map_ptr(uc, map->address, region->size, rights, region->base) != UC_ERR_OK)
            return false;
    }
    return true;
}

/* Whether an access ends the run of the main engine, since it may be to what is watched. */
static bool guards(khs_cpu *cpu, uint32_t watched, uc_mem_type type)
{
    uint32_t access = type == UC_MEM_WRITE ? KHS_HOST_WRITES : type == UC_MEM_READ ? KHS_HOST_READS : 0;
    if (!(watched & access))
        return false;
    if (cpu->reason == KHS_RUNNING_ON) {
        cpu->reason = KHS_AT_GUARD;
        cpu->kept = cpu->left;
        cpu->left = 0;
    }
    return true;
}

/* Unicorn's TLB for guests without an MMU; with the usual one every store is slow. An entry
 * grants what the map does; where that is not enough Unicorn finds the region's own rights
 * in the way, and faults. */
static bool on_tlb_miss(uc_engine *uc, uint64_t address, uc_mem_type type, uc_tlb_entry *entry, void *data)
{
    khs_cpu *cpu = data;
    uint64_t room;
    uint32_t watched = khs_is_watched(cpu) && uc == cpu->main ? khs_watched_page(cpu, address) : 0;
    if (KHS_RARE(watched != 0) && guards(cpu, watched, type))
        return false;
    uint32_t needed = type == UC_MEM_FETCH ? UC_PROT_EXEC : type == UC_MEM_WRITE ? UC_PROT_WRITE : UC_PROT_READ;
    uint32_t granted = needed;
    if (khs_guest_at(cpu->host, cpu->partition, address, KHS_R | KHS_W, &room) != NULL)
        granted |= UC_PROT_READ | UC_PROT_WRITE;
    else if (khs_guest_at(cpu->host, cpu->partition, address, KHS_R | KHS_X, &room) != NULL)
        granted |= UC_PROT_READ | UC_PROT_EXEC;
    else if (khs_devices_hold(cpu->host, cpu->partition, address))
        granted |= UC_PROT_READ | UC_PROT_WRITE;
    granted &= ~((watched & KHS_HOST_WRITES ? UC_PROT_WRITE : 0u) | (watched & KHS_HOST_READS ? UC_PROT_READ : 0u));
    *entry = (uc_tlb_entry){.paddr = address, .perms = (uc_prot)granted};
    return true;
}

/* Stores to an address are slow, too, while any hook for memory covers it, also one for
 * invalid accesses. So those leave out what may be read and written, where only a
 * fetch can fault; came_back sees that without a hook. */
static bool hook_memory(khs_cpu *cpu, uc_engine *uc)
{
    const khs_host *host = cpu->host;
    khs_slice slice = host->partitions[cpu->partition].maps;
    uint64_t begin = 0;
    uc_hook hook;
    for (uint32_t i = slice.first; i < slice.first + slice.count; i++) {
        const khs_cfg_map *map = &host->maps[i];
        if (map->rights != (KHS_R | KHS_W))
            continue;
        if (map->address > begin &&
            uc_hook_add(uc, &hook, UC_HOOK_MEM_INVALID, (void *)on_memory, cpu, begin, map->address - 1) != UC_ERR_OK)
            return false;
        begin = map->address + host->regions[map->region].size;
    }
    return uc_hook_add(uc, &hook, UC_HOOK_MEM_INVALID, (void *)on_memory, cpu, begin, UINT64_MAX) == UC_ERR_OK;
}

static bool hook_tlb(khs_cpu *cpu, uc_engine *uc)
{
    uc_hook hook;
    return uc_hook_add(uc, &hook, UC_HOOK_TLB_FILL, (void *)on_tlb_miss, cpu, 1, 0) == UC_ERR_OK;
}

static bool is_twin(enum khs_engine_kind kind)
{
    return kind == KHS_ENGINE_TWIN || kind == KHS_ENGINE_WATCHER;
}

static bool add_hooks(khs_cpu *cpu, uc_engine *uc, enum khs_engine_kind kind)
{
    const khs_isa *arch = cpu->host->arch;
    uc_hook hook;
    if (kind == KHS_ENGINE_BARE)
        return true;
    if (kind == KHS_ENGINE_BARE_TLB)
        return hook_tlb(cpu, uc);
    int unit = is_twin(kind) ? UC_HOOK_CODE : UC_HOOK_BLOCK, access = UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE;
    void *on_unit = (void *)(is_twin(kind) ? arch->on_code : arch->on_block);
    if (kind == KHS_ENGINE_WATCHER &&
        uc_hook_add(uc, &hook, access, (void *)khs_on_access, cpu, 1, 0) != UC_ERR_OK)
        return false;
    return uc_hook_add(uc, &hook, unit, on_unit, cpu, 1, 0) == UC_ERR_OK && hook_tlb(cpu, uc) &&
           hook_memory(cpu, uc) && arch->hooks(cpu, uc);
}

/* The CPU model comes first, then the cache size: later they have no effect. */
static uc_engine *open_blank(const khs_host *host, uint32_t cache, uc_tlb_type tlb)
{
    uc_engine *uc = NULL;
    if (uc_open(host->arch->arch, host->arch->mode, &uc) != UC_ERR_OK)
        return NULL;
    if (uc_ctl_set_cpu_model(uc, host->arch->model) == UC_ERR_OK &&
        uc_ctl_set_tcg_buffer_size(uc, cache) == UC_ERR_OK && uc_ctl_exits_enable(uc) == UC_ERR_OK &&
        uc_ctl_tlb_mode(uc, tlb) == UC_ERR_OK)
        return uc;
    uc_close(uc);
    return NULL;
}

static bool set_exits(const khs_exits *exits, uc_engine *uc)
{
    return exits->count == 0 || uc_ctl_set_exits(uc, exits->at, exits->count) == UC_ERR_OK;
}

uc_engine *khs_engine_open(khs_cpu *cpu, enum khs_engine_kind kind)
{
    const khs_host *host = cpu->host;
    uc_tlb_type tlb = kind == KHS_ENGINE_BARE ? UC_TLB_CPU : UC_TLB_VIRTUAL;
    uc_engine *uc = open_blank(host, is_twin(kind) ? host->cache_twin : host->cache_main, tlb);
    if (uc == NULL)
        return NULL;
    /* Hooks are seen only by code translated after them. */
    if (add_hooks(cpu, uc, kind) && map_regions(cpu, uc) && khs_devices_map(cpu, uc) && set_exits(cpu->exits, uc) &&
        uc_context_restore(uc, host->initial) == UC_ERR_OK)
        return uc;
    uc_close(uc);
    return NULL;
}

void khs_context_free(uc_context *context)
{
    if (context != NULL)
        uc_context_free(context);
}

bool khs_engine_prototype(khs_host *host)
{
    uc_engine *uc = open_blank(host, host->cache_twin, UC_TLB_VIRTUAL);
    if (uc == NULL)
        return false;
    bool fine = host->arch->user_mode(uc) && uc_context_alloc(uc, &host->initial) == UC_ERR_OK &&
                uc_context_save(uc, host->initial) == UC_ERR_OK;
    uc_close(uc);
    return fine;
}

/* ------------------------------------------------------------ running */

void khs_engine_refuse(khs_cpu *cpu, uint32_t detail)
{
    cpu->reason = KHS_AT_FAULT;
    cpu->fault = (khs_latch){.kind = KHS_FAULT_ENGINE, .detail = detail, .pc = cpu->pc};
    cpu->refused = cpu->fault;
}

/* Code was to be fetched from where no hook is: data, at the pc or, as x86 blocks are
 * translated over page ends, behind the code there. */
static void fetch_fault(khs_cpu *cpu)
{
    uint8_t byte;
    uint32_t size = 1;
    uint64_t address = cpu->pc;
    khs_cpu_code(cpu, address, &byte, &size);
    while (size > 0) {
        address = cpu->code_start + cpu->code_size;
        khs_cpu_code(cpu, address, &byte, &size);
    }
    cpu->reason = KHS_AT_FAULT;
    cpu->fault = (khs_latch){.kind = KHS_FAULT_EXECUTE, .detail = 1, .pc = cpu->pc, .address = address};
}

/* The instruction to come is one that no CPU has. Without a tick left it is the next
 * window's. */
static void exit_fault(khs_cpu *cpu)
{
    if (cpu->left == 0)
        return;
    cpu->reason = khs_at_break(cpu) ? KHS_AT_BREAK : KHS_AT_FAULT;
    cpu->fault = (khs_latch){.kind = KHS_FAULT_UNDEFINED, .pc = cpu->pc};
}

/* The engine came back without a hook having stopped it. */
static void came_back(khs_cpu *cpu, uc_engine *uc, uc_err err)
{
    cpu->pc = engine_pc(cpu, uc);
    if (err == UC_ERR_FETCH_PROT)
        fetch_fault(cpu);
    else if (err != UC_ERR_OK)
        khs_engine_refuse(cpu, (uint32_t)err);
    else if (khs_exits_has(cpu->exits, cpu->pc))
        exit_fault(cpu);
    else if (cpu->host->arch->idles(cpu))
        cpu->reason = KHS_AT_WAIT;
}

void khs_engine_start(khs_cpu *cpu, uc_engine **engine)
{
    khs_guard *guard = &cpu->host->guard;
    if (sigsetjmp(guard->back, 0) != 0) {
        *engine = NULL; /* abandoned: nothing may touch it again */
        cpu->host->abandoned++;
        khs_engine_refuse(cpu, KHS_DETAIL_SIGNAL + (uint32_t)guard->signal);
        return;
    }
    cpu->given = cpu->left;
    guard->armed = 1;
    uc_err err = uc_emu_start(*engine, cpu->pc, 0, 0, 0);
    guard->armed = 0;
    if (KHS_RARE(cpu->spoilt))
        uc_reg_write(*engine, UC_X86_REG_RAX, &cpu->rax);
    cpu->spoilt = false;
    if (cpu->reason == KHS_AT_DEVICE)
        khs_access_stopped(cpu, engine_pc(cpu, *engine));
    else if (cpu->reason == KHS_RUNNING_ON)
        came_back(cpu, *engine, err);
    else if (cpu->reason != KHS_AT_BUDGET && cpu->reason != KHS_AT_KERNEL)
        cpu->left = cpu->kept;
}
