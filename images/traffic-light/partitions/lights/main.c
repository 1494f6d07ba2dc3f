/* Takes the lamps from phase to phase, as the mode wants it. What the lamps show is asked of their
 * driver, so that a controller that starts anew goes on from there.
 *
 * env FAULT=greens: now and then it wants both greens at once, or green without the other's red.
 */
#include <crossing/ILamps.idl.h>
#include <crossing/IMode.idl.h>
#include <khs/khs.h>

enum { BLINK, AUTOMATIC, STOP };
enum { DARK = 0, ALL_RED = 9, A_YELLOW = 10, A_GREEN = 12, B_YELLOW = 17, YELLOW = 18, B_GREEN = 33 };
enum { BOTH_GREEN = 36, GREEN_FOR = 8, YELLOW_FOR = 2, RED_FOR = 2, BLINK_FOR = 3 }; /* steps */
enum { PATIENCE_US = 300000, FAULT_EVERY = 7 };

static uint32_t lamps_port, lamps, mode, refused, steps;
static bool b_is_next;

/* ------------------------------------------------------------ lamps */

static bool look(void)
{
    struct crossing_ILamps_Get_req m = { .header = crossing_ILamps_Get_req_header };
    union crossing_ILamps_Get_reply reply;
    if (khs_call(lamps_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code != KHS_CODE_OK)
        return false;
    lamps = reply.res.lamps;
    return true;
}

static void show(uint32_t picture)
{
    struct crossing_ILamps_Set_req m = { .header = crossing_ILamps_Set_req_header, .lamps = picture };
    union crossing_ILamps_Set_reply reply;
    uint32_t code = khs_call(lamps_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_DENIED)
        refused++;
    if (code != KHS_CODE_OK || lamps == picture)
        return;
    lamps = picture;
    steps = 0;
}

/* The next picture, and after how many steps. */
static uint32_t after(uint32_t *wait)
{
    *wait = YELLOW_FOR;
    switch (lamps) {
    case A_GREEN:
    case B_GREEN:
        *wait = mode == AUTOMATIC ? GREEN_FOR : 0;
        return lamps == A_GREEN ? A_YELLOW : B_YELLOW;
    case ALL_RED:
        *wait = RED_FOR;
        if (mode == STOP)
            return ALL_RED;
        return mode == BLINK ? YELLOW : b_is_next ? B_GREEN : A_GREEN;
    case DARK:
    case YELLOW:
        *wait = BLINK_FOR;
        return mode != BLINK ? ALL_RED : lamps == DARK ? YELLOW : DARK;
    default:
        return ALL_RED;
    }
}

static void step(void)
{
    uint32_t wait, next = after(&wait);
    if (++steps <= wait || next == lamps)
        return;
    show(next);
    if (lamps == A_GREEN || lamps == B_GREEN)
        b_is_next = lamps == A_GREEN;
}

/* ------------------------------------------------------------ mode */

static void answer(void)
{
    struct crossing_IMode_Set_req request;
    struct khs_recv_info info;
    while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
        if (info.mid == crossing_IMode_Set_mid) {
            struct crossing_IMode_Set_res m = { .header = crossing_IMode_Set_res_header, .before = mode };
            mode = request.mode;
            khs_reply(info.token, &m, sizeof m);
        } else {
            struct crossing_IMode_Get_res m = {
                .header = crossing_IMode_Get_res_header, .mode = mode, .refused = refused
            };
            khs_reply(info.token, &m, sizeof m);
        }
    }
}

void main(void)
{
    const char *fault = khs_env("FAULT");
    lamps_port = khs_port("lamps");
    khs_ready();
    while (!look())
        khs_period_wait();
    for (uint32_t period = 1;; period++) {
        khs_period_wait();
        answer();
        if (fault && period % FAULT_EVERY == 0)
            show(period % 2 ? BOTH_GREEN : lamps == A_GREEN ? B_GREEN : A_GREEN);
        else
            step();
    }
}
