/* The protocol of the engineering station: lines of text.
 *
 *     TITLE <length>:<text>                 what the programme is called; at most once
 *     SPEED <tenths of Hz> RAMP <Hz/s>      the speed to run, 0 to 1410.0 Hz
 *     HOLD <ms>                             how long to stay there
 *     END                                   whatever follows is no part of the message
 */
#include "programme.h"
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

static bool queue(struct programme *p, step_function *run, uintptr_t a, uintptr_t b)
{
    if (p->steps >= STEPS)
        return false;
    p->step[p->steps++] = (struct step){ (uintptr_t)run, { a, b, 0 } };
    return true;
}

static bool read_speed(struct reader *in, struct programme *p)
{
    uint32_t speed, ramp;
    return number(in, &speed) && speed <= 14100 && take(in, " RAMP ") && number(in, &ramp) &&
           ramp >= 1 && ramp <= 400 && queue(p, change_speed, speed, ramp);
}

static bool read_hold(struct reader *in, struct programme *p)
{
    uint32_t ms;
    return number(in, &ms) && queue(p, hold, ms, 0);
}

/* THE PLANTED DEFECT of this demonstration: `length` is checked against the message that it
 * came in, but not against the title that it is copied to. What lies behind the title in the
 * programme, on the stack, is then the sender's: the number of steps, and the steps. */
static bool read_title(struct reader *in, struct programme *p)
{
    uint32_t length;
    if (p->title[0] || !number(in, &length) || !take(in, ":") || length > left(in))
        return false;
    memcpy(p->title, in->at, length);
    in->at += length;
    return true;
}

static bool read_line(struct reader *in, struct programme *p)
{
    if (take(in, "TITLE "))
        return read_title(in, p);
    if (take(in, "SPEED "))
        return read_speed(in, p);
    return take(in, "HOLD ") && read_hold(in, p);
}

bool parse(const uint8_t *message, uint32_t length, struct programme *p)
{
    struct reader in = { message, message + length };
    memset(p, 0, sizeof *p);
    while (left(&in) && !take(&in, "END")) {
        if (!read_line(&in, p) || (left(&in) && !take(&in, "\n")))
            return false;
    }
    return true;
}
