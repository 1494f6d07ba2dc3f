/* Hypercalls from a Linux guest on a board beside native partitions.
 *
 *     khs [-d DEVICE] port NAME
 *     khs [-d DEVICE] status|read PORT
 *     khs [-d DEVICE] write|send PORT HEX
 *     khs [-d DEVICE] receive PORT [TIMEOUT_MS]
 *     khs [-d DEVICE] call PORT HEX [TIMEOUT_MS]
 *
 * PORT is the name of a channel, or its number. Prints `CODE VALUE DATA`, data in hexadecimal, and
 * exits with the code: 0 is OK, 7 DENIED, as docs/hypercalls.md has them; 64 for wrong use, 69 if
 * nobody answers. DEVICE defaults to $KHS_DEVICE, else /dev/ttyS1: the board's second serial line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"

enum { USAGE = 64, UNAVAILABLE = 69, PATIENCE_MS = 10000 };

static const char *const names[] = { "", "port", "status", "write", "read", "send", "receive", "call" };
static const char *const codes[] = {
    "OK", "NO_ACTION", "NOT_AVAILABLE", "INVALID_PARAM", "INVALID_CONFIG", "INVALID_MODE", "TIMED_OUT",
    "DENIED", "PARTIAL", "BAD_POINTER", "BAD_LENGTH", "PEER_RESTARTED", "WOULD_DEADLOCK", "INTERRUPTED",
    "NO_CALL", "BAD_POLICY", "UNKNOWN", "PEER_BUFFER",
};

static struct khs_channel_answer answer;
static unsigned char data[KHS_CHANNEL_DATA + 16];

static _Noreturn void fail(int code, const char *what)
{
    fprintf(stderr, "khs: %s\n", what);
    exit(code);
}

static int open_line(const char *device)
{
    struct termios mode;
    int line = open(device, O_RDWR | O_NOCTTY);
    if (line < 0 || tcgetattr(line, &mode) != 0)
        fail(UNAVAILABLE, strerror(errno));
    cfmakeraw(&mode);
    cfsetspeed(&mode, B115200);
    mode.c_cflag |= CLOCAL | CREAD;
    if (tcsetattr(line, TCSAFLUSH, &mode) != 0) /* what an earlier program left unread is gone */
        fail(UNAVAILABLE, strerror(errno));
    return line;
}

static void put(int line, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    while (size > 0) {
        ssize_t done = write(line, at, size);
        if (done < 0 && errno != EINTR)
            fail(UNAVAILABLE, strerror(errno));
        if (done > 0)
            at += done, size -= (size_t)done;
    }
}

static void get(int line, void *bytes, size_t size, int patience_ms)
{
    unsigned char *at = bytes;
    while (size > 0) {
        struct pollfd wait = { .fd = line, .events = POLLIN };
        if (poll(&wait, 1, patience_ms) <= 0)
            fail(UNAVAILABLE, "no answer");
        ssize_t done = read(line, at, size);
        if (done <= 0)
            fail(UNAVAILABLE, "the line is closed");
        at += done, size -= (size_t)done;
    }
}

/* Makes one request; the answer is in `answer` and `data`. */
static void ask(int line, unsigned operation, uint32_t port, uint32_t timeout_ms, const void *bytes,
                uint32_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct khs_channel_request request = {
        .magic = KHS_CHANNEL_REQUEST,
        .number = (uint16_t)(now.tv_nsec >> 10), /* tells a late answer to somebody else's request */
        .operation = (uint16_t)operation,
        .port = port,
        .timeout_us = timeout_ms * 1000,
        .size = size,
    };
    put(line, &request, sizeof request);
    put(line, bytes, size);
    do {
        get(line, &answer, sizeof answer, PATIENCE_MS + (int)timeout_ms);
        if (answer.magic != KHS_CHANNEL_ANSWER || answer.size > sizeof data)
            fail(UNAVAILABLE, "the answer is none");
        get(line, data, answer.size, PATIENCE_MS);
    } while (answer.number != request.number);
}

static uint32_t port_number(int line, const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*text != 0 && *end == 0)
        return (uint32_t)number;
    ask(line, KHS_CHANNEL_PORT, 0, 0, text, (uint32_t)strlen(text));
    if (answer.code != 0)
        fail(USAGE, "there is no such channel");
    return answer.value;
}

static uint32_t from_hex(const char *text, unsigned char *into)
{
    uint32_t size = 0;
    for (; text[0] != 0; text += 2) {
        unsigned value = 0;
        if (text[1] == 0 || sscanf(text, "%2x", &value) != 1 || size == KHS_CHANNEL_DATA)
            fail(USAGE, "data is pairs of hexadecimal digits, at most 4096");
        into[size++] = (unsigned char)value;
    }
    return size;
}

static unsigned operation_named(const char *name)
{
    for (unsigned each = KHS_CHANNEL_PORT; each <= KHS_CHANNEL_CALL; each++)
        if (strcmp(name, names[each]) == 0)
            return each;
    fail(USAGE, "one of port, status, write, read, send, receive, call");
}

static int print_answer(void)
{
    const char *code = answer.code < sizeof codes / sizeof *codes ? codes[answer.code] : "?";
    printf("%s %u ", code, (unsigned)answer.value);
    for (uint32_t i = 0; i < answer.size; i++)
        printf("%02x", data[i]);
    putchar('\n');
    return (int)answer.code;
}

int main(int count, char **words)
{
    static unsigned char message[KHS_CHANNEL_DATA];
    const char *device = getenv("KHS_DEVICE");
    if (count > 2 && strcmp(words[1], "-d") == 0)
        device = words[2], count -= 2, words += 2;
    if (count < 3)
        fail(USAGE, "khs [-d DEVICE] OPERATION PORT [HEX] [TIMEOUT_MS]");
    unsigned operation = operation_named(words[1]);
    int takes_data = operation == KHS_CHANNEL_WRITE || operation == KHS_CHANNEL_SEND || operation == KHS_CHANNEL_CALL;
    if (takes_data && count < 4)
        fail(USAGE, "a message is wanted");
    const char *patience = count > 3 + takes_data ? words[3 + takes_data] : operation == KHS_CHANNEL_CALL ? "1000" : "0";
    int line = open_line(device != NULL ? device : "/dev/ttyS1");
    if (operation == KHS_CHANNEL_PORT) {
        ask(line, operation, 0, 0, words[2], (uint32_t)strlen(words[2]));
        return print_answer();
    }
    uint32_t port = port_number(line, words[2]);
    uint32_t size = takes_data ? from_hex(words[3], message) : 0;
    ask(line, operation, port, (uint32_t)strtoul(patience, NULL, 10), message, size);
    return print_answer();
}
