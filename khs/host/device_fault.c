/* Faults of devices and of the lines behind them, for the health monitor of their owners. What a device
 * suffers itself is found out as its time goes on; that a line is gone is an outside input. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "hold.h"

static const char *const WORDS[KHS_HOST_FAULTS] = {
    [KHS_HOST_LINE_LOST] = "line lost", [KHS_HOST_LINE_FULL] = "line full", [KHS_HOST_OVERRUN] = "overrun",
    [KHS_HOST_WATCHDOG] = "watchdog expired", [KHS_HOST_BUS_OFF] = "bus off"};

bool khs_device_add_fault(khs_host *host, const khs_input *input)
{
    uint32_t device = (input->target & ~KHS_HOST_FAULT) - host->config->inputs.count;
    if (device >= host->device_count || input->size != 1 || input->data[0] >= KHS_HOST_FAULTS ||
        (host->booted && input->tick < khs_now(host->core)) ||
        (host->fault_count > 0 && host->faults[host->fault_count - 1].tick > input->tick))
        return false;
    khs_outer_fault *faults = realloc(host->faults, (host->fault_count + 1) * sizeof *faults);
    if (faults == NULL)
        return false;
    host->faults = faults;
    faults[host->fault_count] = (khs_outer_fault){input->tick, device, input->data[0], khs_host_inputs(host)};
    host->fault_count++;
    return true;
}

bool khs_device_cut_fault(khs_host *host)
{
    if (host->fault_count == 0 || host->faults[host->fault_count - 1].number + 1 < khs_host_inputs(host))
        return false;
    host->fault_count--;
    return true;
}

uint64_t khs_device_next_fault(khs_device *d)
{
    khs_device_state *s = d->state;
    while (s->fault_known < d->host->fault_count && d->host->faults[s->fault_known].device != d->number)
        s->fault_known++;
    return s->fault_known < d->host->fault_count ? d->host->faults[s->fault_known].tick : KHS_AT_NO_TIME;
}

/* "uart3: overrun" */
static bool tell(khs_device *d, uint32_t fault)
{
    char text[sizeof d->about.name + 32];
    uint32_t name = (uint32_t)strlen(d->about.name), words = (uint32_t)strlen(WORDS[fault]);
    memcpy(text, d->about.name, name);
    memcpy(text + name, ": ", 2);
    memcpy(text + name + 2, WORDS[fault], words);
    return khs_tell_fault(d->host->core, d->about.partition, d->about.place, text, name + 2 + words);
}

void khs_device_tell_faults(khs_device *d, uint64_t now)
{
    khs_device_state *s = d->state;
    while (khs_device_next_fault(d) <= now)
        khs_device_fault(d, d->host->faults[s->fault_known++].fault);
    for (uint32_t fault = 0; s->faults != 0 && fault < KHS_HOST_FAULTS; fault++)
        if (s->faults & 1u << fault) {
            if (!tell(d, fault))
                return;
            s->faults &= ~(1u << fault);
            s->told++;
        }
}
