/* The control room's end: writes telemetry to the console, and passes commands on. */
#include <khs/khs.h>
#include <plc/IOperation.idl.h>
#include <plc/ISafety.idl.h>
#include <plc/ITelemetry.idl.h>

enum { TELEMETRY_PERIODS = 100, PATIENCE_US = 100000 };

static const char *const states[] = { "tripped", "running", "off" };
static uint32_t operation, telemetry, state;

static void relay_telemetry(void)
{
    struct plc_ITelemetry_Report_req t;
    struct plc_ISafety_State_req s;
    struct khs_port_info info;
    if (khs_port_read(telemetry, &t, sizeof t, &info).code != KHS_CODE_OK ||
        khs_port_read(state, &s, sizeof s, &info).code != KHS_CODE_OK)
        return;
    khs_print("%u: setpoint %u.%u Hz, speed %u.%u Hz, vibration %u.%u mm/s, %s%s\n", t.change,
              t.setpoint / 10, t.setpoint % 10, s.speed / 10, s.speed % 10, s.vibration / 10,
              s.vibration % 10, s.state <= 2 ? states[s.state] : "?", info.valid ? "" : ", old");
}

static void ask_status(void)
{
    struct plc_IOperation_Status_req m = { .header = plc_IOperation_Status_req_header };
    union plc_IOperation_Status_reply reply;
    uint32_t code = khs_call(operation, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_OK)
        khs_print("status: setpoint %u, speed %u, session %u\n", reply.res.setpoint, reply.res.speed,
                  reply.res.session);
    else
        khs_print("status: %s\n", khs_code_name(code));
}

static void ask_stop(void)
{
    struct plc_IOperation_Stop_req m = { .header = plc_IOperation_Stop_req_header };
    union plc_IOperation_Stop_reply reply;
    uint32_t code = khs_call(operation, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    khs_print("stop: %s\n", khs_code_name(code));
}

static void follow_control(uint32_t input)
{
    char text[64];
    khs_result got;
    while ((got = khs_input_receive(input, text, sizeof text, 0)).code == KHS_CODE_OK) {
        if (khs_starts_with(text, got.value, "STATUS"))
            ask_status();
        else if (khs_starts_with(text, got.value, "STOP"))
            ask_stop();
        else
            khs_print("command of %u bytes is none\n", got.value);
    }
}

void main(void)
{
    uint32_t input = khs_input("control");
    operation = khs_port("operation");
    telemetry = khs_port("telemetry");
    state = khs_port("state");
    khs_ready();
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        follow_control(input);
        if (period % TELEMETRY_PERIODS == 0)
            relay_telemetry();
    }
}
