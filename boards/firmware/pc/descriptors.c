/* Segments, the task state and the interrupt gates (Intel SDM volume 3, 3.4, 6.10 and 8.2):
 * just what user mode needs to trap into the kernel and nothing it could look into. */
#include <stddef.h>

#include "../common/board.h"
#include "machine.h"
#include "pc.h"

#define GATE_INTERRUPT 0x8eu
#define GATE_USER 0x60u
#define TSS_AVAILABLE 0x89u
#define IO_PORTS 0x10000u

#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u
#define EFER_SYSCALL 0x1u
#define FLAGS_MASKED 0x47700u /* AC, NT, IF, DF, TF, IOPL */

#define CR4_UMIP 0x800u
#define CR4_SMEP 0x100000u
#define CR4_SMAP 0x200000u
#define LEAF7_SMEP 0x80u     /* ebx */
#define LEAF7_SMAP 0x100000u /* ebx */
#define LEAF7_UMIP 0x4u      /* ecx */

#ifdef __x86_64__
#define CODE 0x00af9a000000ffffull
typedef struct gate {
    uint16_t low, selector;
    uint8_t zero, type;
    uint16_t middle;
    uint32_t high, pad;
} gate;
typedef struct task_state {
    uint32_t pad0;
    uint64_t sp0 __attribute__((packed));
    uint8_t unused[90];
    uint16_t io_map;
} __attribute__((packed)) task_state;
_Static_assert(sizeof(gate) == 16 && sizeof(task_state) == 104, "layout");
#else
#define CODE 0x00cf9a000000ffffull
typedef struct gate {
    uint16_t low, selector;
    uint8_t zero, type;
    uint16_t middle;
} gate;
typedef struct task_state {
    uint32_t pad0, sp0, ss0;
    uint8_t unused[90];
    uint16_t io_map;
} task_state;
_Static_assert(sizeof(gate) == 8 && sizeof(task_state) == 104, "layout");
#endif

#define DATA 0x00cf92000000ffffull
#define USER 0x0000600000000000ull

typedef struct table {
    uint16_t limit;
    uintptr_t base __attribute__((packed));
} __attribute__((packed)) table;

static uint64_t segments[7];
static gate gates[256];
/* A port's bit is clear where user mode may use it; the last byte is all ones (Intel SDM, 20.5.2). */
static struct {
    task_state state;
    uint8_t io_map[IO_PORTS / 8 + 1];
} task;

extern uintptr_t context_end;
extern const char vector_stubs[VECTORS][STUB_SIZE], syscall_entry[], hypercall_stub[];

static void set_gate(uint32_t number, uintptr_t address, uint8_t type)
{
    gates[number] = (gate){.low = (uint16_t)address, .selector = KERNEL_CODE, .type = type, .middle = (uint16_t)(address >> 16)};
#ifdef __x86_64__
    gates[number].high = (uint32_t)(address >> 32);
#endif
}

static void open_segments(void)
{
    uint64_t at = (uintptr_t)&task;
    for (uint32_t i = 0; i < sizeof task.io_map; i++)
        task.io_map[i] = 0xff;
    segments[1] = CODE;
    segments[2] = DATA;
    segments[3] = CODE | USER;
    segments[4] = DATA | USER;
    segments[5] = (sizeof task - 1) | (at & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 | (at >> 24 & 0xff) << 56;
    segments[6] = at >> 32;
    task.state.io_map = offsetof(__typeof__(task), io_map);
#ifdef __i386__
    task.state.ss0 = KERNEL_DATA;
#endif
    const table gdt = {sizeof segments - 1, (uintptr_t)segments}, idt = {sizeof gates - 1, (uintptr_t)gates};
    __asm__ volatile("lgdt %0" : : "m"(gdt));
    __asm__ volatile("lidt %0" : : "m"(idt));
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

/* Guests neither run nor read what the kernel does by mistake, and user mode reads no
 * addresses of these tables, where the CPU can see to it (boards/pc.toml says what QEMU's can). */
static void open_guards(void)
{
    uint32_t a = 7, b, c = 0, d;
    uintptr_t cr4;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= (b & LEAF7_SMEP ? CR4_SMEP : 0) | (b & LEAF7_SMAP ? CR4_SMAP : 0) | (c & LEAF7_UMIP ? CR4_UMIP : 0);
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
}

void pc_descriptors(void)
{
    for (uint32_t i = 0; i < VECTORS; i++)
        set_gate(i, (uintptr_t)vector_stubs[i], GATE_INTERRUPT);
    set_gate(3, (uintptr_t)vector_stubs[3], GATE_INTERRUPT | GATE_USER); /* int3 and into are no privileged instructions */
    set_gate(4, (uintptr_t)vector_stubs[4], GATE_INTERRUPT | GATE_USER);
#ifdef __i386__
    set_gate(VECTOR_HYPERCALL, (uintptr_t)hypercall_stub, GATE_INTERRUPT | GATE_USER);
#else
    write_msr(MSR_STAR, (uint64_t)KERNEL_CODE << 32);
    write_msr(MSR_LSTAR, (uintptr_t)syscall_entry);
    write_msr(MSR_FMASK, FLAGS_MASKED);
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    write_msr(MSR_EFER, (uint64_t)high << 32 | low | EFER_SYSCALL);
#endif
    open_segments();
    open_guards();
}

void board_ports_open(uint32_t first, uint32_t count, bool open)
{
    for (uint32_t port = first; port < first + count && port < IO_PORTS; port++)
        if (open)
            task.io_map[port / 8] &= (uint8_t)~(1u << port % 8);
        else
            task.io_map[port / 8] |= (uint8_t)(1u << port % 8);
}

void pc_context(const void *end)
{
    task.state.sp0 = (uintptr_t)end;
    context_end = (uintptr_t)end;
}
