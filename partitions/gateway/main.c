/* Talks to the outside: takes messages, reads them, and asks controller and actuator.
 * It is the one partition that outside bytes reach, and it is trusted with nothing: what it may
 * ask of whom is the policy's business. parse.c has a planted defect, see there. */
#include "capture.h"
#include "gateway.h"
#include <gateway/IJournal.idl.h>
#include <gateway/IService.idl.h>
#include <gateway/ISetpoint.idl.h>
#include <khs/khs.h>

enum { PATIENCE_US = 100000 };

static uint32_t setpoint_port, service_port, journal_port, logger;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    char line[128];
    va_list values;
    va_start(values, format);
    khs_format_list(line, sizeof line, format, values);
    va_end(values);
    struct gateway_IJournal_Note_req m = { .header = gateway_IJournal_Note_req_header };
    uint32_t length = gateway_IJournal_Note_req_size;
    gateway_IJournal_Note_req_set_text(&m, &length, line);
    khs_port_send(journal_port, &m, length);
}

/* ------------------------------------------------------------ steps */

uint32_t set_temperature(uintptr_t tenths, uintptr_t b, uintptr_t c)
{
    (void)b, (void)c;
    struct gateway_ISetpoint_Set_req m = {
        .header = gateway_ISetpoint_Set_req_header, .temperature = (int32_t)tenths
    };
    union gateway_ISetpoint_Set_reply reply;
    uint32_t code = khs_call(setpoint_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_OK && reply.header.flags == IDL_RESPONSE)
        note("setpoint %d instead of %d", m.temperature, reply.res.before);
    return code;
}

uint32_t report_status(uintptr_t a, uintptr_t b, uintptr_t c)
{
    (void)a, (void)b, (void)c;
    struct gateway_ISetpoint_Status_req m = { .header = gateway_ISetpoint_Status_req_header };
    union gateway_ISetpoint_Status_reply reply;
    uint32_t code = khs_call(setpoint_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_OK)
        note("setpoint %d, temperature %d, duty %u, mode %u", reply.res.setpoint, reply.res.temperature,
             reply.res.duty, reply.res.mode);
    return code;
}

uint32_t report_hours(uintptr_t a, uintptr_t b, uintptr_t c)
{
    (void)a, (void)b, (void)c;
    struct gateway_IService_Hours_req m = { .header = gateway_IService_Hours_req_header };
    union gateway_IService_Hours_reply reply;
    uint32_t code = khs_call(service_port, &m, sizeof m, &reply, sizeof reply, PATIENCE_US).code;
    if (code == KHS_CODE_OK)
        note("actuator ran %u periods, %u starts", reply.res.periods, reply.res.starts);
    return code;
}

uint32_t restart_logger(uintptr_t a, uintptr_t b, uintptr_t c)
{
    (void)a, (void)b, (void)c;
    return khs_partition_restart(logger, KHS_MODE_COLD_START).code;
}

uint32_t write_note(uintptr_t text, uintptr_t length, uintptr_t c)
{
    (void)length, (void)c;
    note("note: %s", (const char *)text);
    return KHS_CODE_OK;
}

/* ------------------------------------------------------------ messages */

static void carry_out(const struct transaction *t)
{
    for (uint32_t i = 0; i < t->steps; i++) {
        const struct step *step = &t->step[i];
        step_function *run = (step_function *)(uintptr_t)step->run;
        uint32_t code = run((uintptr_t)step->argument[0], (uintptr_t)step->argument[1],
                            (uintptr_t)step->argument[2]);
        if (code != KHS_CODE_OK)
            note("step %u: %s", i + 1, khs_code_name(code));
    }
}

static void handle(const uint8_t *message, uint32_t length)
{
    struct transaction transaction;
    if (parse(message, length, &transaction))
        carry_out(&transaction);
    else
        note("message of %u bytes is not sound", length);
}

void main(void)
{
    setpoint_port = khs_port("setpoint");
    service_port = khs_port("service");
    journal_port = khs_port("journal");
    logger = khs_partition("logger");
    uint32_t uplink = khs_input("uplink");
    struct capture *capture = khs_region("capture", NULL);
    khs_ready();
    for (;;) {
        khs_result got = khs_input_receive(uplink, capture->bytes, CAPTURE_BYTES, KHS_TIMEOUT_MAX_US);
        if (got.code != KHS_CODE_OK)
            continue;
        capture->length = got.value;
        capture->sequence++;
        handle(capture->bytes, got.value);
    }
}
