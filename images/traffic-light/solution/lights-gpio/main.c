/* The lights of the traffic-light solution: shows what it is asked for, and writes that to its
 * console. The result is the mode that is set. */
#include <khs/khs.h>
#include <traffic_light/IMode.idl.h>

static uint32_t shown;

static const char *colour(uint32_t lamps)
{
    static const char *const names[16] = {
        "dark", "red", "yellow", "red and yellow", "green", "?", "?", "?",
        "dark", "blinking red", "blinking yellow", "?", "blinking green", "?", "?", "?"
    };
    return names[lamps & 15];
}

static void show(uint32_t value)
{
    if (value == shown)
        return;
    shown = value;
    khs_print("A %s, B %s\n", colour(value), colour(value >> 8));
}

void main(void)
{
    if (khs_ready() != KHS_CODE_OK)
        return;
    for (;;) {
        khs_period_wait();
        struct traffic_light_IMode_FMode_req request;
        struct khs_recv_info info;
        while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
            struct traffic_light_IMode_FMode_res m = {
                .header = traffic_light_IMode_FMode_res_header, .result = request.value
            };
            show(request.value);
            khs_reply(info.token, &m, sizeof m);
        }
    }
}
