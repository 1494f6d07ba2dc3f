/* Writes to the console what the lamps show, whenever that changes, and warns of what it must not be.
 *
 * env FAULT=command: it also orders the crossing into automatic mode, which is not its to order.
 */
#include <crossing/ILamps.idl.h>
#include <crossing/IMode.idl.h>
#include <khs/khs.h>

enum { BLINK, AUTOMATIC };
enum { RED_A = 1, YELLOW_A = 2, GREEN_A = 4, GREEN_B = 32, BOTH = GREEN_A | GREEN_B };
enum { PATIENCE_US = 300000, LOOK_EVERY = 20 };

static uint32_t shown = UINT32_MAX;

static const char *colour(uint32_t three)
{
    static const char *const names[8] = { "dark", "red", "yellow", "?", "green", "?", "?", "?" };
    return names[three & 7];
}

static void watch(uint32_t port)
{
    struct crossing_ILamps_Get_req m = { .header = crossing_ILamps_Get_req_header };
    union crossing_ILamps_Get_reply reply;
    if (khs_call(port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code != KHS_CODE_OK)
        return;
    uint32_t lamps = reply.res.lamps;
    if (lamps == shown)
        return;
    shown = lamps;
    khs_print("A %s, B %s%s\n", colour(lamps), colour(lamps >> 3),
              (lamps & BOTH) == BOTH ? ": DANGER" : "");
}

static void look(uint32_t port)
{
    static uint32_t told;
    struct crossing_IMode_Get_req m = { .header = crossing_IMode_Get_req_header };
    union crossing_IMode_Get_reply reply;
    if (khs_call(port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code != KHS_CODE_OK)
        return;
    if (reply.res.refused != told)
        khs_print("the lights controller was refused %u times\n", told = reply.res.refused);
}

static void command(uint32_t port)
{
    struct crossing_IMode_Set_req m = { .header = crossing_IMode_Set_req_header, .mode = AUTOMATIC };
    union crossing_IMode_Set_reply reply;
    khs_call(port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US);
}

void main(void)
{
    uint32_t lamps = khs_port("watch"), service = khs_port("service");
    const char *fault = khs_env("FAULT");
    khs_ready();
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        watch(lamps);
        if (period % LOOK_EVERY == 0) {
            look(service);
            if (fault)
                command(service);
        }
    }
}
