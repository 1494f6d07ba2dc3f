/* Runs programmes of setpoints from the engineering station: asks for a speed, waits until safety
 * confirms it, goes on. It is trusted with nothing: which setpoints it may ask for, and when, is the
 * policy's business. parse.c has a planted defect, see there. */
#include "download.h"
#include "programme.h"
#include <khs/khs.h>
#include <plc/ISetpoint.idl.h>
#include <plc/ISupervision.idl.h>

enum { PATIENCE_US = 100000, CONFIRM_US = 30000000 };
enum { REFUSED = 0xffffffff }; /* by the controller; no code of a hypercall */

static uint32_t setpoint_port, confirm_port;

static const char *name(uint32_t code)
{
    return code == REFUSED ? "refused" : khs_code_name(code);
}

/* What safety confirmed so far is of no interest any more, and would fill the queue. */
static void forget_confirmations(void)
{
    struct plc_ISupervision_Confirm_req m;
    while (khs_port_receive(confirm_port, &m, sizeof m, 0).code == KHS_CODE_OK)
        ;
}

static uint32_t await_confirmation(uint32_t change)
{
    struct plc_ISupervision_Confirm_req m;
    uint64_t end = khs_now_ns() + CONFIRM_US * 1000ull;
    for (;;) {
        uint32_t code = khs_port_receive(confirm_port, &m, sizeof m, CONFIRM_US).code;
        if (code == KHS_CODE_OK && m.change == change)
            return code;
        if (code != KHS_CODE_OK || khs_now_ns() > end)
            return code == KHS_CODE_OK ? KHS_CODE_TIMED_OUT : code;
    }
}

uint32_t change_speed(uintptr_t speed, uintptr_t ramp, uintptr_t c)
{
    (void)c;
    struct plc_ISetpoint_Set_req m = {
        .header = plc_ISetpoint_Set_req_header, .speed = (uint32_t)speed, .ramp = (uint32_t)ramp
    };
    union plc_ISetpoint_Set_reply reply;
    forget_confirmations();
    uint32_t code = khs_call(setpoint_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code != KHS_CODE_OK)
        return code;
    return reply.header.flags == IDL_RESPONSE ? await_confirmation(reply.res.change) : REFUSED;
}

uint32_t hold(uintptr_t ms, uintptr_t b, uintptr_t c)
{
    (void)b, (void)c;
    for (uint64_t end = khs_now_ns() + ms * 1000000ull; khs_now_ns() < end;)
        khs_wait();
    return KHS_CODE_OK;
}

/* A step that fails does not end a programme: whoever wrote it reads what is said. */
static void carry_out(const struct programme *p)
{
    for (uint32_t i = 0; i < p->steps; i++) {
        const struct step *step = &p->step[i];
        step_function *run = (step_function *)(uintptr_t)step->run;
        uint32_t code = run((uintptr_t)step->argument[0], (uintptr_t)step->argument[1],
                            (uintptr_t)step->argument[2]);
        if (code != KHS_CODE_OK)
            khs_print("step %u: %s\n", i + 1, name(code));
    }
}

static void handle(const uint8_t *message, uint32_t length)
{
    struct programme programme;
    if (!parse(message, length, &programme)) {
        khs_print("message of %u bytes is not sound\n", length);
        return;
    }
    khs_print("programme %s: %u steps\n", programme.title, programme.steps);
    carry_out(&programme);
    khs_print("programme ended\n");
}

void main(void)
{
    setpoint_port = khs_port("setpoint");
    confirm_port = khs_port("confirm");
    uint32_t station = khs_input("station");
    struct download *download = khs_region("download", NULL);
    khs_ready();
    for (;;) {
        khs_result got = khs_input_receive(station, download->bytes, DOWNLOAD_BYTES, KHS_TIMEOUT_MAX_US);
        if (got.code != KHS_CODE_OK)
            continue;
        download->length = got.value;
        download->sequence++;
        handle(download->bytes, got.value);
    }
}
