/* The heater's driver: follows its life cycle and the latest command, and answers for upkeep.
 * A command that is not refreshed in time counts as none. */
#include <gateway/IDrive.idl.h>
#include <gateway/IMode.idl.h>
#include <gateway/IService.idl.h>
#include <khs/khs.h>

enum { OFF, ARMING, ON };

struct plant {
    uint32_t duty;
};

static uint32_t mode, forced, periods, starts;

static void follow(uint32_t port)
{
    struct gateway_IMode_Enter_req m;
    while (khs_port_receive(port, &m, sizeof m, 0).code == KHS_CODE_OK) {
        starts += m.mode == ON;
        mode = m.mode;
    }
}

static uint32_t commanded(uint32_t port)
{
    struct gateway_IDrive_Set_req m;
    struct khs_port_info info;
    if (mode != ON || khs_port_read(port, &m, sizeof m, &info).code != KHS_CODE_OK || !info.valid)
        return 0;
    return m.duty;
}

static void answer(void)
{
    struct gateway_IService_Force_req request;
    struct khs_recv_info info;
    while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
        if (info.mid == gateway_IService_Force_mid) {
            struct gateway_IService_Force_res m = { .header = gateway_IService_Force_res_header };
            forced = request.duty;
            khs_reply(info.token, &m, sizeof m);
        } else {
            struct gateway_IService_Hours_res m = {
                .header = gateway_IService_Hours_res_header, .periods = periods, .starts = starts
            };
            khs_reply(info.token, &m, sizeof m);
        }
    }
}

void main(void)
{
    volatile struct plant *plant = khs_region("plant", NULL);
    uint32_t mode_port = khs_port("mode"), drive_port = khs_port("drive");
    khs_ready();
    for (;; periods++) {
        khs_period_wait();
        follow(mode_port);
        plant->duty = forced ? forced : commanded(drive_port);
        answer();
    }
}
