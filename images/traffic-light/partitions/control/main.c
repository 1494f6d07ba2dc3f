/* Runs the crossing through its day, an hour of which is a second here: automatic by day, blinking
 * by night, and stopped for a while in between, as for a tram. */
#include <crossing/IMode.idl.h>
#include <khs/khs.h>

enum { BLINK, AUTOMATIC, STOP };
enum { PATIENCE_US = 300000, HOUR = 10 }; /* periods */

static uint32_t wanted(uint32_t hour)
{
    if (hour < 4)
        return BLINK;
    return hour == 18 ? STOP : AUTOMATIC;
}

static bool command(uint32_t port, uint32_t mode)
{
    struct crossing_IMode_Set_req m = { .header = crossing_IMode_Set_req_header, .mode = mode };
    union crossing_IMode_Set_reply reply;
    return khs_call(port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code == KHS_CODE_OK;
}

void main(void)
{
    uint32_t port = khs_port("mode"), now = UINT32_MAX;
    khs_ready();
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        uint32_t mode = wanted(period / HOUR % 24);
        if (mode != now && command(port, mode))
            now = mode;
    }
}
