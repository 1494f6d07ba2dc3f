/* The protocol of the uplink: lines of text.
 *
 *     SET temp=<tenths of a degree>    the temperature to hold, 5.0 to 85.0 degrees
 *     STATUS                           asks the controller
 *     HOURS                            asks the actuator
 *     RESTART logger                   upkeep: the logger starts anew
 *     NOTE <length>:<text>             for the log; at most one
 *     END                              whatever follows is no part of the message
 */
#include "gateway.h"
#include <khs/khs.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static uint32_t left(const struct reader *in)
{
    return (uint32_t)(in->end - in->at);
}

static bool take(struct reader *in, const char *word)
{
    if (!khs_starts_with((const char *)in->at, left(in), word))
        return false;
    in->at += strlen(word);
    return true;
}

static bool number(struct reader *in, uint32_t *value)
{
    const uint8_t *start = in->at;
    for (*value = 0; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        if (*value > 99999)
            return false;
        *value = *value * 10 + (uint32_t)(*in->at - '0');
    }
    return in->at > start;
}

static bool queue(struct transaction *t, step_function *run, uintptr_t a, uintptr_t b)
{
    if (t->steps >= STEPS)
        return false;
    t->step[t->steps++] = (struct step){ (uintptr_t)run, { a, b, 0 } };
    return true;
}

static bool read_set(struct reader *in, struct transaction *t)
{
    uint32_t tenths;
    return number(in, &tenths) && tenths >= 50 && tenths <= 850 && queue(t, set_temperature, tenths, 0);
}

/* THE PLANTED DEFECT of this demonstration: `length` is checked against the message that it
 * came in, but not against the text that it is copied to. What lies behind the text in the
 * transaction, on the stack, is then the sender's: the number of steps, and the steps. */
static bool read_note(struct reader *in, struct transaction *t)
{
    uint32_t length;
    if (t->text[0] || !number(in, &length) || !take(in, ":") || length > left(in))
        return false;
    memcpy(t->text, in->at, length);
    in->at += length;
    return queue(t, write_note, (uintptr_t)t->text, length);
}

static bool read_line(struct reader *in, struct transaction *t)
{
    if (take(in, "SET temp="))
        return read_set(in, t);
    if (take(in, "NOTE "))
        return read_note(in, t);
    if (take(in, "STATUS"))
        return queue(t, report_status, 0, 0);
    if (take(in, "RESTART logger"))
        return queue(t, restart_logger, 0, 0);
    return take(in, "HOURS") && queue(t, report_hours, 0, 0);
}

bool parse(const uint8_t *message, uint32_t length, struct transaction *t)
{
    struct reader in = { message, message + length };
    memset(t, 0, sizeof *t);
    while (left(&in) && !take(&in, "END")) {
        if (!read_line(&in, t) || (left(&in) && !take(&in, "\n")))
            return false;
    }
    return true;
}
