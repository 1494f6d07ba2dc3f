/* Writes what happens to the console: alarms, the gateway's remarks, now and then the
 * temperature, and a line for every message from outside, read from the gateway's capture. */
#include "capture.h"
#include <gateway/IAlarm.idl.h>
#include <gateway/IJournal.idl.h>
#include <gateway/ITelemetry.idl.h>
#include <khs/khs.h>

enum { READING_PERIODS = 25 };

static void log_alarms(uint32_t port)
{
    struct gateway_IAlarm_Raise_req m;
    khs_result got;
    while ((got = khs_port_receive(port, &m, sizeof m, 0)).code == KHS_CODE_OK)
        khs_print("alarm %u (%d): %s\n", m.code, m.value,
                  gateway_IAlarm_Raise_req_get_text(&m, got.value));
}

static void log_journal(uint32_t port)
{
    struct gateway_IJournal_Note_req m;
    khs_result got;
    while ((got = khs_port_receive(port, &m, sizeof m, 0)).code == KHS_CODE_OK)
        khs_print("gateway: %s\n", gateway_IJournal_Note_req_get_text(&m, got.value));
}

static void log_reading(uint32_t port)
{
    struct gateway_ITelemetry_Report_req m;
    struct khs_port_info info;
    if (khs_port_read(port, &m, sizeof m, &info).code == KHS_CODE_OK && info.valid)
        khs_print("reading %u: %d.%d degrees\n", m.sequence, m.temperature / 10, m.temperature % 10);
}

/* The gateway owns the capture and may be anybody's by now: each value is read once. */
static void log_capture(const volatile struct capture *capture, uint32_t *seen)
{
    uint32_t sequence = capture->sequence, length = capture->length, sum = 0;
    if (sequence == *seen)
        return;
    *seen = sequence;
    if (length > CAPTURE_BYTES)
        length = CAPTURE_BYTES;
    for (uint32_t i = 0; i < length; i++)
        sum = sum * 31 + capture->bytes[i];
    khs_print("message %u from outside: %u bytes, sum %08x\n", sequence, length, sum);
}

void main(void)
{
    const volatile struct capture *capture = khs_region("capture", NULL);
    uint32_t alarms = khs_port("alarms"), journal = khs_port("journal");
    uint32_t temperature = khs_port("temperature"), seen = 0;
    khs_ready();
    for (uint32_t period = 0;; period++) {
        khs_period_wait();
        log_alarms(alarms);
        log_capture(capture, &seen);
        log_journal(journal);
        if (period % READING_PERIODS == 0)
            log_reading(temperature);
    }
}
