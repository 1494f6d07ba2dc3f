/* Devices of partitions, and what a model of one is. A device belongs to one partition, whose engines
 * alone have its registers or ports; its time is virtual time. */
#ifndef KHS_HOST_DEVICE_H
#define KHS_HOST_DEVICE_H

#include "devices/can_state.h"
#include "internal.h"
#include "devices/models.h"

#define KHS_AT_NO_TIME UINT64_MAX

/* ------------------------------------------------------------ uart.c */

#define KHS_UART_DEPTH 32u

typedef struct khs_byte_queue {
    uint8_t bytes[KHS_UART_DEPTH];
    uint32_t head, fill;
} khs_byte_queue;

/* What every UART has: two FIFOs, and two shift registers that take their time. */
typedef struct khs_uart {
    khs_byte_queue received, to_send;
    uint32_t depth;         /* of both FIFOs as they are set now */
    uint32_t character;     /* ticks that one takes on the line */
    uint64_t received_at;   /* when the character that comes in is complete */
    uint64_t sent_at;       /* when the one that goes out is gone */
    uint64_t aged_at;       /* when nobody has touched the receiver for long */
    uint8_t shifting;
    uint8_t coming;
    bool receives, sends, loops;
    bool overrun, aged;     /* until the driver has seen it */
    bool empty_unseen;      /* 16550: the transmitter ran empty, and nobody was told */
    uint32_t registers[16]; /* the model's own */
} khs_uart;

/* ------------------------------------------------------------ device.c */

/* All of a device that changes: copied, it is a snapshot. (A model outside keeps its own.) */
typedef struct khs_device_state {
    uint64_t now;   /* the tick up to which everything of it has happened */
    uint64_t next;  /* of its next event by itself, KHS_AT_NO_TIME if there is none */
    uint64_t input; /* the first of the host's inputs that was not used up */
    uint64_t taken; /* bytes used of it */
    uint64_t known; /* inputs before this one have been announced */
    uint32_t lines;  /* a bit of each interrupt line that is up */
    uint32_t raised; /* and its owner was told, and has not returned from its handler */
    uint64_t fault_known; /* the same of the host's list of faults */
    uint32_t faults;      /* a bit of each that the health monitor was not told of yet */
    uint64_t accesses, received, sent, overruns, told;
    union { /* of its model, which is the only one to look at it */
        khs_uart uart;
        khs_epit epit;
        khs_pit pit;
        khs_gpio gpio;
        khs_watchdog watchdog;
        khs_can can;
    };
} khs_device_state;

typedef struct khs_model {
    uint32_t widest; /* bytes of an access; wider ones come in parts, the lowest first */
    uint32_t record; /* bytes that it sends at a time, of each of which the tick is kept; 0: none is */
    void (*reset)(khs_device *device);
    uint32_t (*read)(khs_device *device, uint32_t offset, uint32_t size);
    void (*write)(khs_device *device, uint32_t offset, uint32_t size, uint32_t value);
    void (*advance)(khs_device *device); /* its event's tick, state.next, has come: it is state.now */
    void (*input)(khs_device *device);   /* more has come from outside */
    void (*taken)(khs_device *device);   /* its owner was told of its interrupt; NULL: nothing comes of that */
    /* Before which tick its line does not rise and no fault of it comes, unless it is accessed or something
     * comes from outside: until then nobody has to look at it. NULL: before state.next. */
    uint64_t (*quiet)(khs_device *device);
    /* Whether a read there changes nothing, and gives the same at any tick until something happens to the device or
     * is written to it. NULL: none does. */
    bool (*steady)(khs_device *device, uint32_t offset);
    bool is_prompt; /* its events are due at their ticks in everybody's windows: a watchdog's */
} khs_model;

extern const khs_model khs_model_imx_uart, khs_model_16550, khs_model_outside, khs_model_imx_epit, khs_model_pit,
    khs_model_imx_gpio, khs_model_imx_wdog, khs_model_ib700, khs_model_flexcan, khs_model_sja1000;

struct khs_device {
    khs_host *host;
    uint32_t number;
    uint32_t target; /* of inputs to it */
    khs_host_device about;
    khs_host_device_calls calls; /* of a model outside */
    const khs_model *model;
    khs_device *first, *peer; /* of those on its bus: the lowest number, and the next; itself if alone */
    khs_device_state *state; /* in the host's block of all of them */
    uint8_t *output; /* KHS_OUTPUT_MOST bytes that nobody has fetched yet */
    uint32_t output_size;
    uint64_t *output_ticks; /* of the records in it */
};

/* Bytes of output after which a run comes back to have them fetched, and room for them: twice as
 * much, which no guest fills within one look at the time. */
#define KHS_OUTPUT_ENOUGH (512u * 1024u)
#define KHS_OUTPUT_MOST (2u * KHS_OUTPUT_ENOUGH)

/* The next byte from outside, -1 if none has come yet; taken. */
int khs_device_take(khs_device *device);
/* Bytes from outside that were not taken so far, whether they have come or not. */
uint64_t khs_device_waiting(const khs_device *device);
/* A byte to the outside, through the first device on its bus. */
void khs_device_put(khs_device *device, uint8_t byte);

/* A matter for the health monitor, at this tick; once more only if it happens once more. */
static inline void khs_device_fault(khs_device *device, uint32_t fault)
{
    device->state->faults |= 1u << fault;
}

/* What the main engine and the twin call for registers in memory; `data` is the device. */
uint64_t khs_device_on_read(uc_engine *uc, uint64_t offset, unsigned size, void *data);
void khs_device_on_write(uc_engine *uc, uint64_t offset, unsigned size, uint64_t value, void *data);

/* ------------------------------------------------------------ device_fault.c */

typedef struct khs_outer_fault {
    uint64_t tick;
    uint32_t device;
    uint32_t fault; /* enum khs_host_fault */
    uint64_t number; /* among all inputs */
} khs_outer_fault;

/* The tick of the next fault from outside, KHS_AT_NO_TIME if none is known. */
uint64_t khs_device_next_fault(khs_device *device);
/* Tells the health monitor of all there was up to `now`; what the ring has no room for comes later. */
void khs_device_tell_faults(khs_device *device, uint64_t now);
/* A fault from outside: whether there is such a device, and no later one before it. */
bool khs_device_add_fault(khs_host *host, const khs_input *input);
/* Takes back the last input, if it was a fault. */
bool khs_device_cut_fault(khs_host *host);

/* The pages that the registers of a device in memory lie on. */
static inline uint64_t khs_device_begin(const khs_device *device)
{
    return device->about.address & ~((uint64_t)KHS_PAGE - 1);
}
static inline uint64_t khs_device_end(const khs_device *device)
{
    return (device->about.address + device->about.size + KHS_PAGE - 1) & ~((uint64_t)KHS_PAGE - 1);
}

/* Whether all of an access lies within it, if it is behind ports. */
static inline bool khs_device_has_port(const khs_device *device, uint64_t port, uint32_t size)
{
    uint64_t offset = port - device->about.address;
    return offset < device->about.size && device->about.size - offset >= size;
}

static inline uint64_t khs_least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* A model's event at the earlier of the two. */
static inline void khs_device_at(khs_device *device, uint64_t tick)
{
    if (tick < device->state->next)
        device->state->next = tick;
}

#endif
