/* The drive controller: takes setpoints, leads the speed to them along a ramp, commands torque.
 *
 * It does what it is told by whomever the policy lets through, as such controllers do; it checks
 * that a setpoint is one that its inverter can run, and nothing of what went before. */
#include "drive.h"
#include <khs/khs.h>
#include <plc/IOperation.idl.h>
#include <plc/ISafety.idl.h>
#include <plc/ISetpoint.idl.h>
#include <plc/ISupervision.idl.h>
#include <plc/ITelemetry.idl.h>

enum { PERIODS = 200 };                     /* a second */
enum { SPEED_MAX = 14100, RAMP_MAX = 400 }; /* what the inverter can: tenths of a hertz, Hz/s */
enum { FULL = 636 };                        /* Hz/s that full torque gives */
enum { TORQUE_MAX = 1000, INTEGRAL_MAX = 5000000 };
enum { RUNNING = 1 };                       /* ISafety.State */
enum { OUT_OF_RANGE = 1, NOT_RUNNING = 2 }; /* reasons of errors */

static struct {
    uint32_t telemetry, state, session, confirm, rested;
} port;

static struct {
    uint32_t setpoint; /* tenths of a hertz */
    uint32_t ramp;     /* Hz/s */
    uint32_t change;   /* counts setpoints taken */
    int32_t reference; /* thousandths of a hertz, on its way to the setpoint */
    int32_t integral;
    uint32_t session;
    bool running;
} state;

static void take(uint32_t speed, uint32_t ramp)
{
    state.setpoint = speed;
    state.ramp = ramp;
    state.change++;
}

/* ------------------------------------------------------------ control */

static int32_t within(int32_t value, int32_t most)
{
    return value > most ? most : value < -most ? -most : value;
}

/* Torque for one period: what the ramp takes, and what corrects the error. */
static int32_t law(int32_t speed)
{
    int32_t step = (int32_t)state.ramp * 1000 / PERIODS;
    int32_t moved = within((int32_t)state.setpoint * 100 - state.reference, step);
    state.reference += moved;
    int32_t error = state.reference - speed;
    state.integral = within(state.integral + error, INTEGRAL_MAX);
    int32_t ahead = moved * PERIODS / FULL;
    return within(ahead + error / 100 + state.integral / 10000, TORQUE_MAX);
}

/* Without the safety channel's word that it runs there is no torque, and no setpoint is kept. */
static int32_t control(int32_t speed)
{
    if (state.running)
        return law(speed);
    if (state.setpoint)
        take(0, RAMP_MAX);
    state.reference = speed;
    state.integral = 0;
    return 0;
}

/* ------------------------------------------------------------ messages */

static void read_supervision(void)
{
    struct plc_ISafety_State_req m;
    struct khs_port_info info;
    state.running = khs_port_read(port.state, &m, sizeof m, &info).code == KHS_CODE_OK &&
                    info.valid && m.state == RUNNING;
    struct plc_ISupervision_Session_req session;
    while (khs_port_receive(port.session, &session, sizeof session, 0).code == KHS_CODE_OK)
        state.session = session.mode;
    struct plc_ISupervision_Confirm_req confirm; /* for the policy, and the trace */
    while (khs_port_receive(port.confirm, &confirm, sizeof confirm, 0).code == KHS_CODE_OK)
        ;
    struct plc_ISupervision_Rested_req rested;
    while (khs_port_receive(port.rested, &rested, sizeof rested, 0).code == KHS_CODE_OK)
        ;
}

static void answer_set(uint32_t token, const struct plc_ISetpoint_Set_req *request)
{
    uint32_t reason = !state.running ? NOT_RUNNING : 0;
    if (request->speed > SPEED_MAX || request->ramp < 1 || request->ramp > RAMP_MAX)
        reason = OUT_OF_RANGE;
    if (reason) {
        struct plc_ISetpoint_Set_err m = { .header = plc_ISetpoint_Set_err_header, .reason = reason };
        khs_reply(token, &m, sizeof m);
        return;
    }
    take(request->speed, request->ramp);
    struct plc_ISetpoint_Set_res m = { .header = plc_ISetpoint_Set_res_header, .change = state.change };
    khs_reply(token, &m, sizeof m);
}

static void answer_stop(uint32_t token)
{
    struct plc_IOperation_Stop_res m = { .header = plc_IOperation_Stop_res_header };
    take(0, RAMP_MAX);
    khs_reply(token, &m, sizeof m);
}

static void answer_status(uint32_t token, int32_t speed)
{
    struct plc_IOperation_Status_res m = {
        .header = plc_IOperation_Status_res_header,
        .setpoint = state.setpoint,
        .speed = (uint32_t)speed / 100,
        .session = state.session,
    };
    khs_reply(token, &m, sizeof m);
}

/* Every request that waits; the kernel checked their form and the policy their content. */
static void answer(int32_t speed)
{
    struct plc_ISetpoint_Set_req request;
    struct khs_recv_info info;
    while (khs_recv(&request, sizeof request, &info, 0).code == KHS_CODE_OK) {
        if (info.riid == plc_Controller_setpoint_riid)
            answer_set(info.token, &request);
        else if (info.mid == plc_IOperation_Stop_mid)
            answer_stop(info.token);
        else
            answer_status(info.token, speed);
    }
}

static void report(uint32_t sequence, int32_t speed)
{
    struct plc_ITelemetry_Report_req m = {
        .header = plc_ITelemetry_Report_req_header,
        .sequence = sequence,
        .change = state.change,
        .setpoint = state.setpoint,
        .speed = (uint32_t)speed / 100,
    };
    khs_port_write(port.telemetry, &m, sizeof m);
}

void main(void)
{
    volatile struct drive *drive = khs_region("drive", NULL);
    port.telemetry = khs_port("telemetry");
    port.state = khs_port("state");
    port.session = khs_port("session");
    port.confirm = khs_port("confirm");
    port.rested = khs_port("rested");
    khs_ready();
    for (uint32_t sequence = 1;; sequence++) {
        khs_period_wait();
        int32_t speed = drive->encoder;
        if (speed < 0)
            speed = 0;
        read_supervision();
        answer(speed);
        drive->torque = control(speed);
        report(sequence, speed);
    }
}
