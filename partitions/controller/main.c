/* Holds the temperature: reads telemetry, runs a PI law in integers, drives the actuator.
 *
 * The actuator must be taken through its life cycle (off, arming, on) before it may be driven,
 * and the policy keeps to that too: a denied command means that the actuator, or this partition,
 * has started anew, and the cycle begins again.
 *
 * env WORK_US: computing time to waste in every period, to test what an overlong controller does.
 */
#include <gateway/IAlarm.idl.h>
#include <gateway/IDrive.idl.h>
#include <gateway/IMode.idl.h>
#include <gateway/ISetpoint.idl.h>
#include <gateway/ITelemetry.idl.h>
#include <khs/khs.h>

enum { OFF, ARMING, ON };
enum { ARMING_PERIODS = 3, DUTY_MAX = 1000, TOO_HOT = 950, LIMIT_LOW = 50, LIMIT_HIGH = 850 };
enum { ALARM_NO_TELEMETRY = 1, ALARM_TOO_HOT = 2, ALARM_DENIED = 3 };
enum { GAIN = 6, RESET = 8 }; /* duty a tenth of a degree; periods that double it */

static struct {
    uint32_t temperature, mode, drive, alarms; /* ports */
} port;

static struct {
    int32_t setpoint, temperature; /* tenths of a degree */
    int32_t integral;              /* duty x RESET */
    uint32_t duty, mode, in_mode;  /* thousandths; life cycle; periods since it changed */
    uint32_t alarm;                /* the last one raised, 0 if its cause is gone */
} state = { .setpoint = 400 };

static void alarm(uint32_t code, int32_t value, const char *text)
{
    if (state.alarm == code)
        return;
    state.alarm = code;
    struct gateway_IAlarm_Raise_req m = {
        .header = gateway_IAlarm_Raise_req_header, .code = code, .value = value
    };
    uint32_t length = gateway_IAlarm_Raise_req_size;
    gateway_IAlarm_Raise_req_set_text(&m, &length, text);
    khs_port_send(port.alarms, &m, length);
}

static bool read_temperature(void)
{
    struct gateway_ITelemetry_Report_req m;
    struct khs_port_info info;
    if (khs_port_read(port.temperature, &m, sizeof m, &info).code != KHS_CODE_OK || !info.valid)
        return false;
    state.temperature = m.temperature;
    return true;
}

/* Proportional and integral; the integral stops where the actuator does. */
static uint32_t law(void)
{
    int32_t error = state.setpoint - state.temperature;
    int32_t integral = state.integral + error * GAIN;
    int32_t duty = error * GAIN + integral / RESET;
    if (duty < 0 || duty > DUTY_MAX)
        return duty < 0 ? 0 : DUTY_MAX;
    state.integral = integral;
    return (uint32_t)duty;
}

static bool enter(uint32_t mode)
{
    struct gateway_IMode_Enter_req m = { .header = gateway_IMode_Enter_req_header, .mode = mode };
    if (khs_port_send(port.mode, &m, sizeof m).code != KHS_CODE_OK)
        return false;
    state.mode = mode;
    state.in_mode = 0;
    return true;
}

static void drive(uint32_t duty)
{
    struct gateway_IDrive_Set_req m = { .header = gateway_IDrive_Set_req_header, .duty = duty };
    if (khs_port_write(port.drive, &m, sizeof m).code != KHS_CODE_DENIED)
        return;
    alarm(ALARM_DENIED, (int32_t)duty, "drive denied: the actuator starts anew");
    state.mode = OFF;
}

/* One step through the life cycle, or a command. */
static void actuate(void)
{
    state.in_mode++;
    if (state.temperature > TOO_HOT && state.mode != OFF) {
        alarm(ALARM_TOO_HOT, state.temperature, "too hot: heating is off");
        enter(OFF);
    } else if (state.mode == OFF && state.temperature <= TOO_HOT) {
        if (!enter(ARMING))
            enter(OFF); /* this partition started anew, the actuator did not */
    } else if (state.mode == ARMING && state.in_mode > ARMING_PERIODS) {
        enter(ON);
    } else if (state.mode == ON) {
        drive(state.duty);
    }
}

static void answer_set(uint32_t token, const struct gateway_ISetpoint_Set_req *request)
{
    if (request->temperature < LIMIT_LOW || request->temperature > LIMIT_HIGH) {
        struct gateway_ISetpoint_Set_err m = { .header = gateway_ISetpoint_Set_err_header, .reason = 1 };
        khs_reply(token, &m, sizeof m);
        return;
    }
    struct gateway_ISetpoint_Set_res m = {
        .header = gateway_ISetpoint_Set_res_header, .before = state.setpoint
    };
    state.setpoint = request->temperature;
    khs_reply(token, &m, sizeof m);
}

static void answer_status(uint32_t token)
{
    struct gateway_ISetpoint_Status_res m = {
        .header = gateway_ISetpoint_Status_res_header,
        .setpoint = state.setpoint,
        .temperature = state.temperature,
        .duty = state.mode == ON ? state.duty : 0,
        .mode = state.mode,
    };
    khs_reply(token, &m, sizeof m);
}

/* Every request that waits; the kernel checked their form and the policy their content. */
static void answer(void)
{
    struct gateway_ISetpoint_Set_req request;
    struct khs_recv_info info;
    while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
        if (info.mid == gateway_ISetpoint_Set_mid)
            answer_set(info.token, &request);
        else
            answer_status(info.token);
    }
}

static void waste(uint32_t us)
{
    for (uint64_t end = khs_now_ns() + us * 1000ull; us && khs_now_ns() < end;)
        for (volatile uint32_t i = 0; i < 2000; i++)
            ;
}

void main(void)
{
    port.temperature = khs_port("temperature");
    port.mode = khs_port("mode");
    port.drive = khs_port("drive");
    port.alarms = khs_port("alarms");
    uint32_t work_us = khs_env_number("WORK_US", 0);
    khs_ready();
    for (;;) {
        khs_period_wait();
        if (read_temperature()) {
            state.duty = law();
            if (state.temperature <= TOO_HOT)
                state.alarm = 0;
        } else {
            state.duty = 0;
            alarm(ALARM_NO_TELEMETRY, 0, "no telemetry: heating is off");
        }
        actuate();
        answer();
        waste(work_us);
    }
}
