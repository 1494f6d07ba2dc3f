/* Drives the lamps: shows what it is told, and tells what it shows. That no picture is dangerous is
 * the policy's business. */
#include <crossing/ILamps.idl.h>
#include <khs/khs.h>

static uint32_t lamps, changes;

static void set(uint32_t token, const struct crossing_ILamps_Set_req *request)
{
    struct crossing_ILamps_Set_res m = { .header = crossing_ILamps_Set_res_header, .before = lamps };
    changes += lamps != request->lamps;
    lamps = request->lamps;
    khs_reply(token, &m, sizeof m);
}

static void get(uint32_t token)
{
    struct crossing_ILamps_Get_res m = {
        .header = crossing_ILamps_Get_res_header, .lamps = lamps, .changes = changes
    };
    khs_reply(token, &m, sizeof m);
}

void main(void)
{
    khs_ready();
    for (;;) {
        khs_period_wait();
        struct crossing_ILamps_Set_req request;
        struct khs_recv_info info;
        while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
            if (info.mid == crossing_ILamps_Set_mid)
                set(info.token, &request);
            else
                get(info.token);
        }
    }
}
