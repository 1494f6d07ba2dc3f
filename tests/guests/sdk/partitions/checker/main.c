/* Checks the SDK from inside. Partition `checker` checks everything it can alone and sends a
 * message of every shape; `reader` looks whether it arrived as it was sent. */
#include <check/IShapes.idl.h>
#include <khs/khs.h>

typedef struct check_IShapes_Every_req every_message;

static uint32_t failures;

static void check(bool right, const char *what)
{
    failures += !right;
    if (!right)
        khs_print("wrong: %s\n", what);
}

#define CHECK(condition) check(condition, #condition)

static bool formats(const char *wanted, size_t length, const char *text)
{
    if (strcmp(wanted, text) == 0 && strlen(wanted) == length)
        return true;
    khs_print("wanted '%s', got '%s'\n", wanted, text);
    return false;
}

#define FORMAT(wanted, ...) CHECK(formats(wanted, khs_format(text, sizeof text, __VA_ARGS__), text))

static void check_format(void)
{
    char text[64], small[5];
    FORMAT("", "%s", "");
    FORMAT("plain 100%", "plain 100%%");
    FORMAT("-2147483648 2147483647", "%d %d", INT32_MIN, INT32_MAX);
    FORMAT("4294967295 ffffffff", "%u %x", UINT32_MAX, UINT32_MAX);
    FORMAT("18446744073709551615 -9223372036854775808", "%llu %lld", UINT64_MAX, INT64_MIN);
    FORMAT("12345678901", "%lld", 12345678901ll);
    FORMAT("  -7|-007|   7|0007", "%4d|%04d|%4u|%04x", -7, -7, 7u, 7u);
    FORMAT("  ab|c|-3", "%4s|%c|%zd", "ab", 'c', (ptrdiff_t)-3);
    CHECK(khs_format(small, sizeof small, "%s", "too long") == 4 && strcmp(small, "too ") == 0);
    CHECK(khs_format(small, 1, "%d", 5) == 0 && small[0] == 0);
    CHECK(khs_format(small, 0, "%d", 5) == 0);
}

static void check_memory(void)
{
    uint8_t a[64], b[64];
    for (uint32_t from = 0; from < 9; from++)
        for (uint32_t to = 0; to < 9; to++)
            for (uint32_t size = 0; size < 40; size++) {
                for (uint32_t i = 0; i < 64; i++)
                    a[i] = (uint8_t)(i * 7), b[i] = 0xee;
                memcpy(b + to, a + from, size);
                bool right = b[to + size] == 0xee && (to == 0 || b[to - 1] == 0xee);
                right &= memcmp(b + to, a + from, size) == 0;
                memmove(a + to, a + from, size);
                right &= memcmp(a + to, b + to, size) == 0;
                memset(b + to, 0x55, size);
                for (uint32_t i = 0; i < size; i++)
                    right &= b[to + i] == 0x55;
                right &= b[to + size] == 0xee;
                if (!right) {
                    khs_print("wrong: copy from %u to %u, %u bytes\n", from, to, size);
                    failures++;
                }
            }
    CHECK(memcmp("ab", "ac", 2) < 0 && memcmp("b", "a", 1) > 0 && memcmp("", "", 0) == 0);
    CHECK(strlen("") == 0 && strlen("abc") == 3 && strnlen("abc", 2) == 2);
    CHECK(strcmp("a", "b") < 0 && strcmp("ab", "a") > 0 && strcmp("\x80", "a") > 0);
    CHECK(khs_starts_with("abc", 3, "ab") && !khs_starts_with("ab", 1, "ab") && khs_starts_with("", 0, ""));
}

static volatile uint64_t big = 0xfedcba9876543210u, small = 0x12345;
static volatile int64_t minus = -1000000000007;

static void check_division(void)
{
    CHECK(big / small == 0xe0004fa01c4du && big % small == 0x10a4f);
    CHECK(minus / 1000 == -1000000000 && minus % 1000 == -7);
    CHECK((uint32_t)big / (uint32_t)small == 0x6800u && (uint32_t)big % (uint32_t)small == 0x2a10);
    volatile double third = 1.0 / (double)small;
    CHECK(third * (double)small > 0.999 && third * (double)small < 1.001);
}

static void check_names(void)
{
    size_t size = 0;
    CHECK(strcmp(khs_name(), "checker") == 0);
    CHECK(strcmp(khs_arg(0), "first") == 0 && strcmp(khs_arg(1), "second one") == 0 && !khs_arg(2));
    CHECK(strcmp(khs_env("MODE"), "demo") == 0 && !khs_env("MOD") && !khs_env("MODES"));
    CHECK(*khs_env("EMPTY") == 0 && khs_env_number("EMPTY", 9) == 9);
    CHECK(khs_env_number("NUMBER", 9) == 1234 && khs_env_number("HEX", 9) == 0xbeef);
    CHECK(khs_env_number("BAD", 9) == 9 && khs_env_number("NONE", 9) == 9);
    CHECK(khs_port("shapes") == 0 && khs_port("shape") == KHS_NOTHING);
    CHECK(khs_port_info(0)->kind == KHS_PORT_QUEUING && khs_port_info(0)->direction == KHS_PORT_SOURCE);
    CHECK(!khs_port_info(1) && khs_port_info(0)->depth == 2);
    CHECK(khs_input("pipe") == 0 && khs_input("pip") == KHS_NOTHING);
    CHECK(khs_partition("reader") == 1 && khs_partition("nobody") == KHS_NOTHING);
    CHECK(khs_schedule("night") == 1 && khs_schedule("") == KHS_NOTHING);
    CHECK(khs_region("frames", &size) && size == 8192 && !khs_region("frame", NULL));
    uint8_t *heap = khs_heap(&size);
    CHECK(size == 8192 && heap[0] == 0 && heap[8191] == 0);
    heap[0] = heap[8191] = 1;
}

static volatile uint32_t ticks, others;

static void on_interrupt(uint32_t irq)
{
    double work = (double)irq + 0.5; /* the interrupted context keeps its own */
    ticks += irq == KHS_IRQ_TIMER && work < 1;
    others += irq != KHS_IRQ_TIMER;
}

static void check_interrupts(void)
{
    CHECK(khs_interrupts(on_interrupt, 0) == KHS_CODE_OK);
    khs_timer_set(100, 100);
    double sum = 0;
    uint32_t hash = 1;
    for (uint32_t i = 1; i <= 20000; i++) {
        sum += 1.0 / i;
        hash = hash * 31 + i;
    }
    khs_timer_set(0, 0);
    CHECK(khs_interrupts(NULL, 0) == KHS_CODE_OK);
    CHECK(ticks > 1 && sum > 10.48 && sum < 10.49 && hash == 0xd96f2511);
}

static void check_hypercall_block(void)
{
    struct khs_hypercall time = { .number = KHS_HC_TIME_GET };
    struct khs_time now = { 0 };
    time.argument[0] = (uintptr_t)&now;
    CHECK(khs_hypercall(&time) == KHS_CODE_OK && time.code == KHS_CODE_OK && now.ns > 0);
    struct khs_hypercall mask = { .number = KHS_HC_INTERRUPT_MASK, .argument = { 5 } };
    khs_hypercall(&mask);
    mask.argument[0] = 0;
    CHECK(khs_hypercall(&mask) == KHS_CODE_OK && mask.value == 5);
    /* six arguments, and the last of them: a timeout of 0 microseconds */
    struct khs_hypercall call = { .number = KHS_HC_CALL, .argument = { 99, 1, 2, 3, 4, 5 } };
    CHECK(khs_hypercall(&call) == KHS_CODE_INVALID_PARAM);
    CHECK(strcmp(khs_code_name(KHS_CODE_UNKNOWN), "UNKNOWN") == 0 && strcmp(khs_code_name(99), "?") == 0);
}

/* ------------------------------------------------------------ messages */

static void send_every_shape(void)
{
    every_message m = {
        .header = check_IShapes_Every_req_header,
        .a = 0xab,
        .b = -5,
        .pair = { 1, UINT64_MAX },
        .point = { -3, 1ull << 40 },
        .choice = { .tag = check_IShapes_Choice_point, .point = { 7, 8 } },
        .grid = { { 1, 2 }, { 3, 4 }, { 5, 6 } },
        .register_ = 17,
    };
    const struct check_IShapes_Point points[2] = { { 1, 2 }, { 3, 4 } };
    uint32_t length = check_IShapes_Every_req_size;
    CHECK(check_IShapes_Every_req_set_bytes(&m, &length, "\1\2\3", 3));
    CHECK(check_IShapes_Every_req_set_points(&m, &length, points, 2));
    CHECK(!check_IShapes_Every_req_set_text(&m, &length, "ten chars!"));
    CHECK(check_IShapes_Every_req_set_text(&m, &length, "nine char"));
    CHECK(khs_port_send(0, &m, length).code == KHS_CODE_OK);
}

static void check_every_shape(const every_message *m, uint32_t length)
{
    struct check_IShapes_Point point;
    uint32_t size;
    const uint8_t *bytes = check_IShapes_Every_req_get_bytes(m, length, &size);
    CHECK(m->header.flags == IDL_REQUEST && m->header.mid == check_IShapes_Every_mid);
    CHECK(m->a == 0xab && m->b == -5 && m->pair[1] == UINT64_MAX && m->point.y == 1ull << 40);
    CHECK(m->choice.tag == check_IShapes_Choice_point && m->choice.point.y == 8);
    CHECK(m->grid[2][1] == 6 && m->register_ == 17);
    CHECK(bytes && size == 3 && bytes[2] == 3);
    CHECK(check_IShapes_Every_req_count_points(m, length) == 2);
    CHECK(check_IShapes_Every_req_get_points(m, length, 1, &point) && point.x == 3 && point.y == 4);
    CHECK(!check_IShapes_Every_req_get_points(m, length, 2, &point));
    CHECK(strcmp(check_IShapes_Every_req_get_text(m, length), "nine char") == 0);
    CHECK(*check_IShapes_Every_req_get_text(m, check_IShapes_Every_req_size) == 0); /* cut off */
}

static void read(void)
{
    every_message m;
    khs_result got = khs_port_receive(0, &m, sizeof m, KHS_TIMEOUT_MAX_US);
    CHECK(got.code == KHS_CODE_OK && m.header.riid == check_Checker_shapes_riid);
    check_every_shape(&m, got.value);
}

static void check_all(void)
{
    char line[16];
    khs_result got = khs_input_receive(0, line, sizeof line, 0);
    CHECK(got.code == KHS_CODE_OK && got.value == 5 && memcmp(line, "hello", 5) == 0);
    check_format();
    check_memory();
    check_division();
    check_names();
    check_interrupts();
    check_hypercall_block();
    CHECK(khs_ready() == KHS_CODE_OK && khs_ready() == KHS_CODE_NO_ACTION);
    khs_period_wait();
    send_every_shape();
}

void main(void)
{
    if (strcmp(khs_name(), "reader") == 0)
        read();
    else
        check_all();
    khs_print("%u failures\n", failures);
}
