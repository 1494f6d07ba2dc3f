/* Runs one partition for its budget. The timer ends it and a free running counter measures
 * it; what the kernel itself takes in between is found once, at the start, and taken off.
 * A timer coarser than an instruction lets a guest run a little too far: that is charged
 * when it runs next, so that nothing is lost and no neighbour's windows show in it. */
#include "../../../khs/core/internal.h"
#include "firmware.h"

#define FRACTION 32u /* bits after the point of the ratios */
#define RATIO 5u /* bits before it: a board's clock may be 31 times as fast as ticks */
#define MOST_TICKS 0x04000000u /* that one start of the timer measures */

/* ------------------------------------------------------------ measuring the kernel */

#define CALIBRATION 0x40000000u /* where the code to measure with lies */
#define NOPS 800u
#define STEPS 400u /* ticks until the timer comes */
#define LENGTHS 25u /* of code: any phase of a clock of 10 ns to instructions of 8 */
#define TRIES 32u
#define CLOCKS 5u

static uint32_t counts_for(const firmware *f, uint32_t ticks)
{
    const uint64_t up = (1ull << FRACTION) - 1;
    return (uint32_t)((ticks * f->counts_per_tick + up) >> FRACTION);
}

/* Whole ticks of so many cycles without the kernel's part. */
static uint32_t ticks_of(const firmware *f, uint32_t cycles, uint64_t kernel)
{
    const uint64_t half = 1ull << (FRACTION - 1);
    int64_t exact = (int64_t)(cycles * f->ticks_per_cycle + half - kernel);
    return exact > 0 ? (uint32_t)(exact >> FRACTION) : 0;
}

uint64_t run_ticks(const firmware *f, uint32_t cycles, uint64_t *remainder)
{
    uint64_t exact = (uint64_t)cycles * f->ticks_per_cycle + *remainder;
    *remainder = exact & ((1ull << FRACTION) - 1);
    return exact >> FRACTION;
}

/* Some instructions that do nothing, then a hypercall. */
static void lay_code(uint8_t *page)
{
    for (uint32_t i = 0; i < NOPS; i++)
        khs_copy(page + i * cpu_nop_size, cpu_nop_code, cpu_nop_size);
    khs_copy(page + NOPS * cpu_nop_size, cpu_trap_code, cpu_trap_size);
    board_code_written(page, PAGE);
}

static trap run_from(cpu_context *context, uint64_t pc, uint32_t counts)
{
    cpu_start(context, pc, CALIBRATION + PAGE, 0);
    return cpu_run(context, counts);
}

/* What the clock shows for so many instructions, of which the last is a hypercall. */
static uint32_t measure_call(firmware *f, uint32_t instructions)
{
    cpu_context context;
    uint64_t pc = CALIBRATION + (NOPS + 1 - instructions) * cpu_nop_size;
    trap call = run_from(&context, pc, counts_for(f, MOST_TICKS));
    if (call.kind != TRAP_HYPERCALL)
        firmware_fail("the board's timer does not suit its clock; it came in place of a trap, hertz", f->timer_hz);
    return call.cycles;
}

/* Where every instruction takes a tick, the mean over some lengths is right even for a clock that
 * counts in other steps. */
static uint64_t counted_call(firmware *f)
{
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= LENGTHS; i++)
        sum += measure_call(f, i) * f->ticks_per_cycle - ((uint64_t)i << FRACTION);
    return sum / LENGTHS;
}

/* Elsewhere the shortest of some traps tells best. */
static uint64_t shortest_call(firmware *f)
{
    uint32_t least = measure_call(f, 1);
    for (uint32_t i = 0; i < TRIES; i++)
        least = (uint32_t)khs_min(least, measure_call(f, 1));
    uint64_t ticks = least * f->ticks_per_cycle, own = 1ull << FRACTION;
    return ticks > own ? ticks - own : 0;
}

static void measure_timer(firmware *f)
{
    cpu_context context;
    trap timer = run_from(&context, CALIBRATION, counts_for(f, STEPS));
    uint32_t done = (uint32_t)(cpu_pc(&context) - CALIBRATION) / cpu_nop_size;
    if (timer.kind != TRAP_TIMER || done > STEPS)
        firmware_fail("the board's timer does not suit its clock; instructions before it came", done);
    f->timer_ticks = timer.cycles * f->ticks_per_cycle - ((uint64_t)done << FRACTION);
    f->start_ticks = STEPS - done;
}

static void calibrate(firmware *f)
{
    uint8_t *page = memory_pages(PAGE, PAGE);
    space *s = space_new();
    lay_code(page);
    space_map(s, CALIBRATION, (uintptr_t)page, PAGE, KHS_R | KHS_X);
    space_enter(s);
    if (f->image->flags & IMAGE_COUNTED) {
        f->call_ticks = counted_call(f);
        measure_timer(f);
    } else {
        f->call_ticks = f->timer_ticks = shortest_call(f);
    }
}

/* The middle one of some measurements: an emulator that loses the CPU meanwhile is far off. */
static uint32_t measured_clock(void)
{
    uint32_t found[CLOCKS];
    for (uint32_t n = 0; n < CLOCKS; n++) {
        uint32_t hz = board_clock_hz(), at = n;
        for (; at > 0 && found[at - 1] > hz; at--)
            found[at] = found[at - 1];
        found[at] = hz;
    }
    return found[CLOCKS / 2];
}

void run_open(firmware *f)
{
    uint64_t clock = f->image->clock_hz ? f->image->clock_hz : measured_clock();
    uint64_t timer = f->image->timer_hz ? f->image->timer_hz : clock, ticks = f->config->clock_hz;
    if (clock == 0 || ticks >> 32)
        firmware_fail("the board's clock stands still, or ticks are wrong, hertz", ticks);
    f->timer_hz = (uint32_t)timer;
    f->cycles_per_tick = (clock << FRACTION) / ticks;
    f->ticks_per_cycle = (ticks << FRACTION) / clock;
    f->counts_per_tick = (timer << FRACTION) / ticks;
    if ((f->cycles_per_tick | f->ticks_per_cycle | f->counts_per_tick) >> (FRACTION + RATIO))
        firmware_fail("the board's clock and the system's are too far apart, hertz", clock);
    calibrate(f);
}

/* ------------------------------------------------------------ running */

/* Where there is no stack to write to, the guest will find out by itself. */
void run_call_frame(firmware *f, uint32_t partition, uint64_t argument)
{
    uint64_t sp;
    uint32_t frame[2], size = cpu_call_frame(&f->cpus[partition].context, argument, frame, &sp);
    uint8_t *to = size ? memory_at(f, partition, sp, size, KHS_W) : NULL;
    if (to != NULL)
        khs_copy(to, frame, size);
}

static void switch_to(firmware *f, cpu *c)
{
    if (f->running != c)
        space_enter(c->space);
    f->running = c;
    if (f->vector_of == c)
        return;
    if (f->vector_of != NULL)
        cpu_save_vector(&f->vector_of->vector);
    cpu_load_vector(&c->vector);
    f->vector_of = c;
}

/* Runs for about `ticks`; says how many it were, but for what the clock cannot tell. */
static trap run_for(firmware *f, cpu *c, uint32_t ticks, uint32_t *ran)
{
    switch_to(f, c);
    trap t = cpu_run(&c->context, counts_for(f, ticks + f->start_ticks));
    if (t.kind == TRAP_HYPERCALL || t.kind == TRAP_FAULT) {
        *ran = ticks_of(f, t.cycles, f->call_ticks);
        return t;
    }
    *ran = ticks_of(f, t.cycles, f->timer_ticks);
    if (t.kind == TRAP_TIMER && !t.late && *ran < ticks)
        *ran = ticks; /* the timer never comes early */
    return t;
}

/* A page that is mapped was refused for its rights; the MMU would say so of the kernel's too. */
static uint32_t fault_detail(const firmware *f, uint32_t partition, const trap *t)
{
    const uint8_t *code = t->fault == KHS_FAULT_TRAP ? memory_at(f, partition, t->pc, 2, KHS_X) : NULL;
    if (code != NULL)
        return cpu_trap_number(code, t->detail);
    bool memory = t->fault == KHS_FAULT_READ || t->fault == KHS_FAULT_WRITE || t->fault == KHS_FAULT_EXECUTE;
    return memory ? memory_is_mapped(f, partition, t->address) : t->detail;
}

/* What the core asks for, and no more. */
static void describe(const firmware *f, uint32_t partition, const trap *t, khs_return *why)
{
    if (t->kind == TRAP_HYPERCALL) {
        why->kind = KHS_RET_HYPERCALL;
        why->number = cpu_number(&f->cpus[partition].context);
    } else if (t->kind == TRAP_FAULT) {
        why->kind = KHS_RET_FAULT;
        why->fault.kind = t->fault;
        why->fault.detail = fault_detail(f, partition, t);
        why->fault.pc = t->pc;
        why->fault.address = t->address;
    }
}

void run_partition(firmware *f, uint32_t partition, uint64_t budget)
{
    cpu *c = &f->cpus[partition];
    uint32_t piece = (uint32_t)khs_min(budget, MOST_TICKS), ran = 0;
    khs_return why;
    why.kind = KHS_RET_BUDGET;
    why.number = 0;
    uint32_t line = BOARD_NOTHING;
    if (f->paced)
        devices_enter(f, partition);
    if (c->ahead < piece) {
        trap t = run_for(f, c, piece - c->ahead, &ran);
        describe(f, partition, &t, &why);
        line = t.kind == TRAP_DEVICE ? t.fault : BOARD_NOTHING;
    }
    c->ahead += ran;
    why.ticks = khs_min(c->ahead, piece);
    c->ahead -= (uint32_t)why.ticks;
    if (why.kind == KHS_RET_HYPERCALL && why.ticks == 0)
        why.ticks = 1; /* the trap instruction itself */
    khs_returned(f->core, &why);
    if (line != BOARD_NOTHING)
        devices_interrupt(f, line);
}
