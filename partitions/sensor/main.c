/* Measures the temperature once a period and publishes it. The region `plant` stands in for
 * the vessel and its heater: the actuator sets the heat there, the thermometer is modelled here. */
#include <gateway/ITelemetry.idl.h>
#include <khs/khs.h>

enum { AMBIENT = 20000, SPAN = 100000, INERTIA = 25 }; /* thousandths of a degree; periods */

struct plant {
    uint32_t duty; /* heat, thousandths of full power */
};

/* One period of a vessel that at full power settles SPAN above ambient. */
static int32_t warm(int32_t temperature, uint32_t duty)
{
    int32_t settles = AMBIENT + (int32_t)(duty * (SPAN / 1000));
    return temperature + (settles - temperature) / INERTIA;
}

/* A tenth of a degree of noise, the same in every run. */
static int32_t noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (int32_t)(*state >> 24) % 101 - 50;
}

void main(void)
{
    const volatile struct plant *plant = khs_region("plant", NULL);
    uint32_t port = khs_port("temperature"), random = 1;
    int32_t temperature = AMBIENT;
    khs_ready();
    for (uint32_t sequence = 1;; sequence++) {
        khs_period_wait();
        temperature = warm(temperature, plant->duty);
        struct gateway_ITelemetry_Report_req report = {
            .header = gateway_ITelemetry_Report_req_header,
            .sequence = sequence,
            .temperature = (temperature + noise(&random)) / 100,
        };
        khs_port_write(port, &report, sizeof report);
    }
}
