/* Text. SPDX-License-Identifier: MIT */
#include <khs/khs.h>

bool khs_starts_with(const char *text, size_t length, const char *prefix)
{
    for (size_t i = 0; prefix[i]; i++)
        if (i >= length || text[i] != prefix[i])
            return false;
    return true;
}

/* ------------------------------------------------------------ formatting */

struct output {
    char *buffer;
    size_t room; /* without the final zero */
    size_t length;
};

static void put(struct output *out, char c)
{
    if (out->length < out->room)
        out->buffer[out->length++] = c;
}

static void put_number(struct output *out, uint64_t value, bool minus, uint32_t base, uint32_t width,
                       char fill)
{
    char digits[20];
    uint32_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    uint32_t length = count + minus;
    if (minus && fill == '0')
        put(out, '-');
    for (; width > length; width--)
        put(out, fill);
    if (minus && fill != '0')
        put(out, '-');
    while (count)
        put(out, digits[--count]);
}

static void put_text(struct output *out, const char *text, uint32_t width)
{
    size_t length = strlen(text);
    for (; width > length; width--)
        put(out, ' ');
    for (; *text; text++)
        put(out, *text);
}

/* A va_list in a struct, so that it passes by reference alike on every architecture. */
struct values {
    va_list list;
};

static uint64_t take(struct values *values, uint32_t longs, bool is_signed)
{
    if (longs >= 2)
        return va_arg(values->list, unsigned long long);
    if (longs == 1)
        return is_signed ? (uint64_t)va_arg(values->list, long) : va_arg(values->list, unsigned long);
    return is_signed ? (uint64_t)va_arg(values->list, int) : va_arg(values->list, unsigned int);
}

/* One conversion, `p` behind its '%'; returns where it ends. */
static const char *convert(struct output *out, const char *p, struct values *values)
{
    char fill = *p == '0' ? '0' : ' ';
    uint32_t width = 0, longs = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        width = width * 10 + (uint32_t)(*p - '0');
    for (; *p == 'l' || *p == 'z'; p++)
        longs++;
    if (*p == 'd') {
        int64_t value = (int64_t)take(values, longs, true);
        put_number(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, width, fill);
    } else if (*p == 'u' || *p == 'x') {
        put_number(out, take(values, longs, false), false, *p == 'u' ? 10 : 16, width, fill);
    } else if (*p == 's') {
        put_text(out, va_arg(values->list, const char *), width);
    } else if (*p == 'c') {
        put(out, (char)va_arg(values->list, int));
    } else if (*p) {
        put(out, *p);
    }
    return *p ? p + 1 : p;
}

size_t khs_format_list(char *buffer, size_t size, const char *format, va_list list)
{
    if (size == 0)
        return 0;
    struct output out = { buffer, size - 1, 0 };
    struct values values;
    va_copy(values.list, list);
    for (const char *p = format; *p;) {
        if (*p == '%')
            p = convert(&out, p + 1, &values);
        else
            put(&out, *p++);
    }
    va_end(values.list);
    buffer[out.length] = 0;
    return out.length;
}

size_t khs_format(char *buffer, size_t size, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    size_t length = khs_format_list(buffer, size, format, values);
    va_end(values);
    return length;
}

uint32_t khs_print(const char *format, ...)
{
    char line[KHS_CONSOLE_MAX + 1];
    va_list values;
    va_start(values, format);
    size_t length = khs_format_list(line, sizeof line, format, values);
    va_end(values);
    return khs_console_write(line, (uint32_t)length).code;
}

const char *khs_code_name(uint32_t code)
{
    static const char *const names[] = {
        "OK",          "NO_ACTION",   "NOT_AVAILABLE",  "INVALID_PARAM",  "INVALID_CONFIG", "INVALID_MODE",
        "TIMED_OUT",   "DENIED",      "PARTIAL",        "BAD_POINTER",    "BAD_LENGTH",     "PEER_RESTARTED",
        "WOULD_DEADLOCK", "INTERRUPTED", "NO_CALL",     "BAD_POLICY",     "UNKNOWN",        "PEER_BUFFER",
    };
    _Static_assert(sizeof names / sizeof names[0] == KHS_CODES, "a name for every code");
    return code < KHS_CODES ? names[code] : "?";
}
