/* Takes the lights of the traffic-light solution through their modes, and asks for two greens once
 * in every round. What they answer to that is told. */
#include <khs/khs.h>
#include <traffic_light/IMode.idl.h>

enum { RED_A = 1, YELLOW_A = 2, GREEN_A = 4, BLINK_A = 8 };
enum { RED_B = RED_A << 8, YELLOW_B = YELLOW_A << 8, GREEN_B = GREEN_A << 8, BLINK_B = BLINK_A << 8 };
enum { STEP = 5, PATIENCE_US = 100000 }; /* periods; more than a major frame */

static const uint32_t round[] = {
    YELLOW_A | BLINK_A | YELLOW_B | BLINK_B,
    RED_A | RED_B,
    GREEN_A | RED_B,
    YELLOW_A | RED_B,
    RED_A | GREEN_B,
    GREEN_A | GREEN_B, /* which nobody may have */
    RED_A | YELLOW_B,
};
enum { MODES = sizeof round / sizeof *round };

static void ask(uint32_t port, uint32_t value)
{
    struct traffic_light_IMode_FMode_req m = {
        .header = traffic_light_IMode_FMode_req_header, .value = value
    };
    union traffic_light_IMode_FMode_reply reply;
    uint32_t code = khs_call(port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code != KHS_CODE_OK)
        khs_print("mode %x: %s\n", value, khs_code_name(code));
    else if (value == (GREEN_A | GREEN_B))
        khs_print("mode %x: set to %x\n", value, reply.res.result);
}

void main(void)
{
    uint32_t port = khs_port("lights_gpio_connection");
    if (khs_ready() != KHS_CODE_OK)
        return;
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        if (period % STEP == 0)
            ask(port, round[period / STEP % MODES]);
    }
}
