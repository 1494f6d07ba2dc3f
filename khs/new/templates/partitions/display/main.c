/* Shows readings, and sets the meter back when its value is high. */
#include <$package/IControl.idl.h>
#include <$package/IReading.idl.h>
#include <khs/khs.h>

enum { HIGH = 100, PATIENCE_US = 100000 };

static void reset(uint32_t control, int32_t value)
{
    struct ${package}_IControl_Reset_req m = {
        .header = ${package}_IControl_Reset_req_header, .value = value
    };
    union ${package}_IControl_Reset_reply reply;
    uint32_t code = khs_call(control, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_OK && reply.header.flags == IDL_RESPONSE)
        khs_print("reset to %d, was %d\n", value, reply.res.before);
    else
        khs_print("reset to %d: %s\n", value, code == KHS_CODE_OK ? "refused by the meter" : khs_code_name(code));
}

void main(void)
{
    uint32_t reading = khs_port("reading"), control = khs_port("control");
    khs_ready();
    for (;;) {
        khs_period_wait();
        struct ${package}_IReading_Report_req m;
        struct khs_port_info info;
        if (khs_port_read(reading, &m, sizeof m, &info).code != KHS_CODE_OK || !info.valid)
            continue;
        khs_print("reading %u: %d\n", m.number, m.value);
        if (m.value > HIGH)
            reset(control, 0);
    }
}
