/* Publishes a reading every period and answers calls. */
#include <$package/IControl.idl.h>
#include <$package/IReading.idl.h>
#include <khs/khs.h>

static int32_t value;

static void answer_Reset(uint32_t token, const struct ${package}_IControl_Reset_req *request)
{
    struct ${package}_IControl_Reset_res m = { .header = ${package}_IControl_Reset_res_header };
    m.before = value;
    value = request->value;
    khs_reply(token, &m, sizeof m);
}

/* khs new: a function for each method goes above this line */

/* Every call that waits. The kernel has checked its form, the policy what it asks. */
static void answer(void)
{
    static _Alignas(8) uint8_t message[1024];
    struct khs_recv_info info;
    while (khs_recv(message, sizeof message, &info, 0).code == KHS_CODE_OK) {
        switch (info.mid) {
        case ${package}_IControl_Reset_mid:
            answer_Reset(info.token, (const void *)message);
            break;
        /* khs new: a case for each method goes above this line */
        }
    }
}

void main(void)
{
    uint32_t port = khs_port("reading");
    khs_ready();
    for (uint32_t number = 1;; number++) {
        khs_period_wait();
        value += 7;
        struct ${package}_IReading_Report_req report = {
            .header = ${package}_IReading_Report_req_header, .number = number, .value = value
        };
        khs_port_write(port, &report, sizeof report);
        answer();
    }
}
