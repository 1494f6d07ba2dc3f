/* The safety channel: watches the machine with sensors of its own and lets it run, period by period.
 *
 * It energises to run: a relay holds the brake off as long as `permit` is counted. Whoever kills this
 * partition stops the drive. Its limits are momentary ones, as those of protection systems are: they
 * lie above what the machine must be allowed while it passes its critical speeds.
 *
 * It also knows two things that the policy builds on: the operator's key, which is wired here, and
 * whether the speed really rests where the controller says that it leads it. */
#include "channel.h"
#include <khs/khs.h>
#include <plc/ISafety.idl.h>
#include <plc/ISupervision.idl.h>
#include <plc/ITelemetry.idl.h>

enum { TRIPPED, RUNNING, OFF }; /* ISafety.State */
enum { NONE, BUTTON, OVERSPEED, VIBRATION, SILENT, SENSORS };
enum { SPEED_LIMIT = 1432000, VIBRATION_LIMIT = 16000, APART = 30000, STANDS = 5000 };
enum { CRITICAL_LOW = 300000, CRITICAL_HIGH = 750000 }; /* as in security.psl */
enum { NEAR = 1500, DWELL = 20, REST = 6000, AGAIN = 200 }; /* thousandths of a hertz; periods */

static const char *const causes[] = { "none",      "button", "overspeed",
                                      "vibration", "controller silent", "sensors disagree" };

static struct {
    uint32_t panel, telemetry, confirm, session, rested, state;
} port;

static struct {
    uint32_t state, cause;
    uint32_t key, session;   /* as it stands; as told */
    uint32_t last;           /* sequence of the controller's last report, 0 for none yet */
    struct plc_ITelemetry_Report_req report;
    bool confirmed;          /* the change that was last seen rests */
    uint32_t change, near;   /* number of that change; periods near its setpoint */
    uint32_t rest;           /* periods out of the critical range */
} s = { .state = OFF };

static void send(uint32_t to, const void *message, uint32_t size)
{
    if (khs_port_send(to, message, size).code == KHS_CODE_DENIED)
        khs_print("not heard\n");
}

static void open_session(uint32_t mode)
{
    struct plc_ISupervision_Session_req m = { .header = plc_ISupervision_Session_req_header, .mode = mode };
    s.session = mode;
    send(port.session, &m, sizeof m);
}

static void trip(uint32_t cause)
{
    if (s.state != RUNNING)
        return;
    khs_print("trip: %s\n", causes[cause]);
    s.state = TRIPPED;
    s.cause = cause;
    s.key = 0;
    s.confirmed = false;
    s.rest = 0; /* the brake leads it through */
}

/* ------------------------------------------------------------ the panel */

static void reset(int32_t speed)
{
    if (s.state == RUNNING || speed > STANDS || !s.last)
        return;
    s.state = RUNNING;
    s.cause = NONE;
    s.confirmed = false;
    s.near = 0;
}

static void read_panel(int32_t speed)
{
    char text[64];
    khs_result got;
    while ((got = khs_input_receive(port.panel, text, sizeof text, 0)).code == KHS_CODE_OK) {
        if (khs_starts_with(text, got.value, "STOP"))
            trip(BUTTON);
        else if (khs_starts_with(text, got.value, "RESET"))
            reset(speed);
        else if (khs_starts_with(text, got.value, "KEY ") && got.value > 4 && text[4] >= '0' && text[4] <= '2')
            s.key = (uint32_t)(text[4] - '0');
    }
}

/* Closing tells at once; opening waits until the machine is known to rest. */
static void follow_key(void)
{
    if (s.key != s.session && (s.key == 0 || (s.state == RUNNING && s.confirmed)))
        open_session(s.key);
}

/* ------------------------------------------------------------ watching */

/* The controller has to report in every period, one more than the last: one that started anew is
 * as good as dead, nobody knows what it would do. */
static void watch_controller(void)
{
    struct khs_port_info info;
    bool heard = khs_port_read(port.telemetry, &s.report, sizeof s.report, &info).code == KHS_CODE_OK;
    bool next = heard && s.report.sequence == s.last + 1;
    if (s.last && !next)
        trip(SILENT);
    if (heard && (next || s.state != RUNNING))
        s.last = s.report.sequence;
}

static void watch_machine(int32_t speed, int32_t vibration)
{
    int32_t apart = (int32_t)s.report.speed * 100 - speed;
    if (speed > SPEED_LIMIT)
        trip(OVERSPEED);
    if (vibration > VIBRATION_LIMIT)
        trip(VIBRATION);
    if (apart > APART || apart < -APART)
        trip(SENSORS);
}

/* Told again and again: what is said while a setpoint is on its way counts for nothing. */
static void watch_rest(int32_t speed)
{
    if (speed > CRITICAL_LOW && speed < CRITICAL_HIGH)
        s.rest = 0;
    else if (++s.rest >= REST && s.confirmed) {
        struct plc_ISupervision_Rested_req m = { .header = plc_ISupervision_Rested_req_header };
        s.rest = REST - AGAIN;
        send(port.rested, &m, sizeof m);
    }
}

/* Confirms each change once, with the speed that the safety channel has measured. */
static void watch_change(int32_t speed)
{
    int32_t off = (int32_t)s.report.setpoint * 100 - speed;
    if (s.report.change != s.change) {
        s.change = s.report.change;
        s.confirmed = false;
        s.near = 0;
    }
    if (s.confirmed || s.state != RUNNING)
        return;
    s.near = off <= NEAR && off >= -NEAR ? s.near + 1 : 0;
    if (s.near < DWELL)
        return;
    struct plc_ISupervision_Confirm_req m = {
        .header = plc_ISupervision_Confirm_req_header, .change = s.change, .speed = (uint32_t)speed / 100
    };
    s.confirmed = true;
    send(port.confirm, &m, sizeof m);
}

static void tell(int32_t speed, int32_t vibration)
{
    struct plc_ISafety_State_req m = {
        .header = plc_ISafety_State_req_header,
        .state = s.state,
        .cause = s.cause,
        .speed = (uint32_t)speed / 100,
        .vibration = (uint32_t)vibration / 100,
    };
    khs_port_write(port.state, &m, sizeof m);
}

void main(void)
{
    volatile struct channel *channel = khs_region("protection", NULL);
    struct khs_partition_status status;
    port.panel = khs_input("panel");
    port.telemetry = khs_port("telemetry");
    port.confirm = khs_port("confirm");
    port.session = khs_port("session");
    port.rested = khs_port("rested");
    port.state = khs_port("state");
    khs_partition_status(&status);
    if (status.start_condition != KHS_START_BOOT)
        s.state = TRIPPED; /* that was its end */
    khs_ready();
    open_session(0);
    for (uint32_t count = 1;; count += 1 + (count == UINT32_MAX)) {
        khs_period_wait();
        int32_t speed = channel->pickup, vibration = channel->vibration;
        watch_controller();
        watch_machine(speed, vibration);
        read_panel(speed);
        channel->permit = s.state == RUNNING ? count : 0;
        watch_rest(speed);
        watch_change(speed);
        follow_key();
        tell(speed, vibration);
    }
}
