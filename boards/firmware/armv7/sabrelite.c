/* Boundary Devices SABRE Lite: i.MX 6Dual/6Quad Applications Processor Reference Manual
 * (UART, chapter 64); Cortex-A9 MPCore Technical Reference Manual (timers, interrupt
 * controller). */
#include "../common/board.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* UART */
#define UART_EVENTS 0x02020000u  /* UART1 */
#define UART_CONSOLE 0x021e8000u /* UART2, the board's console */
#define UART_BELL 0x021f4000u    /* UART5: no connector */
#define UTXD 0x40u
#define UCR1 0x80u
#define UCR2 0x84u
#define USR1 0x94u
#define USR2 0x98u
#define UCR1_ENABLE 0x1u
#define UCR2_TRANSMIT 0x4025u /* ignore RTS, 8 bits, transmitter on, out of reset */
#define UCR3 0x88u
#define UCR3_MUXED 0x4u /* RXDMUXSEL, always 1 on an i.MX6 */
#define UFCR 0x90u
#define UFCR_HALF 0x0a01u /* 80 MHz divided by 2; FIFO levels as after reset */
#define UBIR 0xa4u
#define UBMR 0xa8u
#define UBIR_115200 15u
#define UBMR_115200 346u /* 40 MHz * 16 / (16 * 347) */
#define USR1_READY 0x2000u
#define USR2_SENT 0x8u

/* Global timer: the clock */
#define CLOCK_LOW 0x00a00200u
#define CLOCK_CONTROL 0x00a00208u

/* Private timer of the CPU and its interrupt */
#define TIMER_LOAD 0x00a00600u
#define TIMER_CONTROL 0x00a00608u
#define TIMER_STATUS 0x00a0060cu
#define TIMER_RUN 0x5u /* enable, interrupt, once, no prescaler */
#define TIMER_IRQ 29u

/* Interrupt controller */
#define GICD 0x00a01000u
#define GICD_ISENABLER (GICD + 0x100u)
#define GICD_ICENABLER (GICD + 0x180u)
#define GICD_ITARGETSR (GICD + 0x800u)
#define GICD_ICPENDR (GICD + 0x280u)
#define GICC_CTLR 0x00a00100u
#define GICC_PMR 0x00a00104u
#define GICC_IAR 0x00a0010cu
#define GICC_EOIR 0x00a00110u
#define GICC_ID 0x3ffu
#define GICC_NONE 1020u

/* General purpose timer, on the low-frequency reference of 32 kHz: what other clocks are told by */
#define GPT_CR 0x02098000u
#define GPT_PR 0x02098004u
#define GPT_CNT 0x02098024u
#define GPT_REFERENCE 0x300u /* free running, source 4 */
#define GPT_ENABLE 0x1u
#define GPT_HZ 32768u
#define GPT_COUNTS 64u /* that are waited for */

/* Watchdog: a software reset is how the board ends */
#define WDOG1_WCR (*(volatile uint16_t *)(uintptr_t)0x020bc000u)

const uintptr_t board_ram = 0x10000000u;
const uintptr_t board_ram_end = KERNEL_END;
const uintptr_t board_image = 0x12000000u;

static void uart_open(uint32_t base)
{
    REGISTER(base + UCR1) = UCR1_ENABLE;
    REGISTER(base + UCR2) = UCR2_TRANSMIT;
    REGISTER(base + UCR3) |= UCR3_MUXED;
    REGISTER(base + UFCR) = UFCR_HALF;
    REGISTER(base + UBIR) = UBIR_115200;
    REGISTER(base + UBMR) = UBMR_115200;
}

void board_open(void)
{
    uart_open(UART_EVENTS);
    uart_open(UART_CONSOLE);
    uart_open(UART_BELL);
    REGISTER(TIMER_CONTROL) = 0;
    REGISTER(GICD_ISENABLER) = 1u << TIMER_IRQ;
    REGISTER(GICC_PMR) = 0xff;
    REGISTER(GICC_CTLR) = 1;
    REGISTER(GICD) = 1;
    REGISTER(CLOCK_CONTROL) = 1;
}

/* Clock and timer count together. Starting right after a count makes what they measure depend on the
 * guest alone, not on when the kernel was done: where an instruction takes 8 ns (icount) and a count
 * 10, two reads in a row are equal only there, and six instructions a turn come to every phase. */
static void wait_for_count(void)
{
    uint32_t turns = 8, one, other;
    __asm__ volatile("1: subs %0, %0, #1\n"
                     "ldrne %1, [%3]\n"
                     "ldrne %2, [%3]\n"
                     "cmpne %1, %2\n"
                     "nop\n"
                     "bne 1b"
                     : "+&r"(turns), "=&r"(one), "=&r"(other)
                     : "r"(CLOCK_LOW)
                     : "cc", "memory");
}

void board_timer_start(uint32_t counts)
{
    wait_for_count();
    REGISTER(TIMER_LOAD) = counts; /* sets the counter too */
    REGISTER(TIMER_CONTROL) = TIMER_RUN;
}

void board_timer_stop(void)
{
    REGISTER(TIMER_CONTROL) = 0;
    REGISTER(TIMER_STATUS) = 1;
    REGISTER(GICD_ICPENDR) = 1u << TIMER_IRQ; /* what came meanwhile is nobody else's */
}

uint32_t board_clock(void) { return REGISTER(CLOCK_LOW); }

/* The counter when the reference has come to another count. */
static uint32_t clock_at(uint32_t *count)
{
    uint32_t old = REGISTER(GPT_CNT);
    while ((*count = REGISTER(GPT_CNT)) == old) {
    }
    return board_clock();
}

/* Half of the CPU's clock, which the boot loader has set; on QEMU 100 MHz. */
uint32_t board_clock_hz(void)
{
    uint32_t first, last;
    REGISTER(GPT_CR) = 0;
    REGISTER(GPT_PR) = 0;
    REGISTER(GPT_CR) = GPT_REFERENCE;
    REGISTER(GPT_CR) = GPT_REFERENCE | GPT_ENABLE;
    uint32_t from = clock_at(&first), to;
    do
        to = clock_at(&last);
    while (last - first < GPT_COUNTS);
    return (uint32_t)((uint64_t)(to - from) * GPT_HZ / (last - first));
}

void board_line_open(uint32_t line, bool open)
{
    ((volatile uint8_t *)(uintptr_t)GICD_ITARGETSR)[line] = 1; /* this CPU */
    REGISTER((open ? GICD_ISENABLER : GICD_ICENABLER) + line / 32u * 4u) = 1u << line % 32u;
}

uint32_t board_poll(void)
{
    uint32_t active = REGISTER(GICC_IAR), line = active & GICC_ID;
    if (line >= GICC_NONE)
        return BOARD_NOTHING;
    if (line != TIMER_IRQ)
        board_line_open(line, false);
    REGISTER(GICC_EOIR) = active;
    return line == TIMER_IRQ ? BOARD_NOTHING : line;
}

uint32_t board_interrupt(void)
{
    uint32_t line = board_poll();
    if (line != BOARD_NOTHING)
        return line;
    return REGISTER(TIMER_STATUS) & 1 ? BOARD_TIMER : BOARD_NOTHING;
}

void board_ports_open(uint32_t first, uint32_t count, bool open) { (void)first, (void)count, (void)open; }

bool board_card_open(uint32_t card, uint32_t port, uint32_t line) { return (void)card, (void)port, (void)line, false; }

static void put(uint32_t base, uint8_t byte)
{
    while (!(REGISTER(base + USR1) & USR1_READY)) {
    }
    REGISTER(base + UTXD) = byte;
}

void board_event_byte(uint8_t byte) { put(UART_EVENTS, byte); }

void board_bell(void) { put(UART_BELL, 1); }

void board_console_byte(uint8_t byte)
{
    if (byte == '\n')
        put(UART_CONSOLE, '\r');
    put(UART_CONSOLE, byte);
}

static void wait_until_sent(uint32_t base)
{
    while (!(REGISTER(base + USR2) & USR2_SENT)) {
    }
}

/* Arm semihosting, SYS_EXIT_EXTENDED; elsewhere the watchdog resets the board. */
void board_exit(uint32_t code, bool emulated)
{
    const uint32_t arguments[] = {0x20026u /* ADP_Stopped_ApplicationExit */, code};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *block __asm__("r1") = arguments;
    wait_until_sent(UART_EVENTS);
    wait_until_sent(UART_CONSOLE);
    if (emulated)
        __asm__ volatile("svc 0x123456" : : "r"(operation), "r"(block) : "memory");
    WDOG1_WCR = 4;
    for (;;) {
    }
}
