/* What a board port supplies to the common firmware, and the other way round.
 *
 * A port is small: start-up code that calls firmware_main with the MMU on and the
 * kernel mapped where it lies, page tables, entry to and exit from user mode, a
 * one-shot timer, two UARTs and a way out.
 */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../khs/core/core.h"
#include "cpu.h"

#define PAGE 4096u

/* Physical memory, all of it mapped one to one for the kernel alone. */
#define KERNEL_END 0x40000000u /* partitions live from here on */

/* ------------------------------------------------------------ port: cpu */

/* cpu.h has, inline:
 *   static uint32_t cpu_number(const cpu_context *context);   of the hypercall
 *   static void cpu_arguments(const cpu_context *context, uint64_t arguments[KHS_EVENT_ARGS_MAX]);
 *   static void cpu_result(cpu_context *context, uint32_t code, uint32_t value);
 */

typedef enum trap_kind { TRAP_TIMER, TRAP_HYPERCALL, TRAP_FAULT, TRAP_DEVICE } trap_kind;

typedef struct trap {
    trap_kind kind;
    bool late; /* an interrupt meant for somebody else came first: the timer was on already */
    uint32_t cycles; /* of board_clock since the guest was entered for good */
    uint32_t fault; /* enum khs_fault; of TRAP_DEVICE the line */
    uint32_t detail;
    uint64_t pc;
    uint64_t address;
} trap;

/* Another one than a fault: what only that has is left open. */
static inline trap trap_of(trap_kind kind)
{
    trap t;
    t.kind = kind;
    return t;
}

/* Takes a context to the start of a program, or to a handler of virtual interrupts. */
void cpu_start(cpu_context *context, uint64_t entry, uint64_t sp, uint64_t argument);
void cpu_interrupt(cpu_context *context, uint64_t handler, uint32_t irq);
/* What the calling convention then wants at the guest's stack pointer; returns its bytes. */
uint32_t cpu_call_frame(const cpu_context *context, uint64_t argument, uint32_t frame[2], uint64_t *sp);
/* Runs the guest until a trap, the timer's after so many counts at the latest. `space` is in force. */
trap cpu_run(cpu_context *context, uint32_t counts);
uint64_t cpu_pc(const cpu_context *context);
/* Number of the trap instruction whose first bytes are at `code`; `told` is what the CPU says. */
uint32_t cpu_trap_number(const uint8_t code[2], uint32_t told);
/* Code to measure with: an instruction that does nothing, and the hypercall trap. */
extern const uint8_t cpu_nop_code[], cpu_trap_code[];
extern const uint32_t cpu_nop_size, cpu_trap_size;
/* Floating point and vector registers, which the kernel never touches. */
void cpu_save_vector(cpu_vector *vector);
void cpu_load_vector(const cpu_vector *vector);

/* ------------------------------------------------------------ port: memory */

typedef struct space space;

/* An empty address space, and a mapping in it; memory_pages supplies the tables. */
space *space_new(void);
bool space_map(space *s, uint64_t address, uint64_t physical, uint64_t size, uint32_t rights);
/* Registers of a device, page by page; and I/O ports, where the CPU has them. */
bool space_map_device(space *s, uint64_t address, uint64_t physical, uint64_t size);
void board_ports_open(uint32_t first, uint32_t count, bool open);
void space_enter(const space *s);
/* Code was written at `address`: makes it what is fetched. */
void board_code_written(const void *address, size_t size);

/* ------------------------------------------------------------ port: board */

extern const uintptr_t board_ram;     /* where memory begins */
extern const uintptr_t board_ram_end; /* and where what the kernel can reach of it ends */
extern const uintptr_t board_image; /* where the boot image lies in it */

void board_open(void);
/* A free running counter. */
uint32_t board_clock(void);
/* What it counts in a second, by another clock of the board that is known. */
uint32_t board_clock_hz(void);
/* The timer: counts down from `counts` and then interrupts the guest, once. */
void board_timer_start(uint32_t counts);
void board_timer_stop(void);
/* An interrupt came: the line, which is masked then, or one of these. */
uint32_t board_interrupt(void);
#define BOARD_TIMER 0xfffffffeu
#define BOARD_NOTHING 0xffffffffu
/* The same without having been interrupted; never the timer. */
uint32_t board_poll(void);
void board_line_open(uint32_t line, bool open);
/* The next PCI card of these vendor and device (as its first register has them): shows its registers at these I/O
 * ports, and takes its interrupt to the line. False if there is none, or it cannot be there. */
bool board_card_open(uint32_t card, uint32_t port, uint32_t line);
void board_event_byte(uint8_t byte);
/* Tells the runner that there is more in the log. */
void board_bell(void);
void board_console_byte(uint8_t byte);
/* Leaves the emulator, or stops the board. */
_Noreturn void board_exit(uint32_t code, bool emulated);

/* ------------------------------------------------------------ common */

_Noreturn void firmware_main(void);
/* Pages of zeroes; stops the board if there are none left. */
void *memory_pages(size_t bytes, size_t alignment);
/* Says why on the console and stops the board. */
_Noreturn void firmware_fail(const char *why, uint64_t value);

#endif
