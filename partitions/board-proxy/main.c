/* Stands for a machine in QEMU among the native partitions: makes the hypercalls that the machine
 * asks for. A request comes as an outside input, stamped with its tick, so that the kernel judges
 * and records it like any partition's; the answer is left in the heap, where the host looks.
 * The machine is not trusted: what it sends is checked here as far as the kernel does not. */
#include "channel.h"
#include <khs/khs.h>

enum { FOREVER = 0xffffffff };

/* At the start of the heap. `count` answers so far: the last word written of each. */
struct mailbox {
    volatile uint32_t count;
    uint32_t reserved;
    struct khs_channel_answer answer;
    uint8_t data[KHS_CHANNEL_DATA + sizeof(struct khs_port_info)];
};

static struct {
    struct khs_channel_request header;
    _Alignas(8) uint8_t data[KHS_CHANNEL_DATA];
} request;

static uint8_t incoming[sizeof request.header + KHS_CHANNEL_DATA];

static khs_result invalid(void)
{
    return (khs_result){ .code = KHS_CODE_INVALID_PARAM };
}

static khs_result look_up(void)
{
    if (request.header.size >= KHS_CHANNEL_DATA)
        return invalid();
    request.data[request.header.size] = 0;
    uint32_t port = khs_port((const char *)request.data);
    if (port == KHS_NOTHING)
        return (khs_result){ .code = KHS_CODE_INVALID_CONFIG };
    return (khs_result){ .code = KHS_CODE_OK, .value = port };
}

static khs_result read(struct mailbox *box)
{
    _Alignas(8) static uint8_t message[KHS_CHANNEL_DATA];
    struct khs_port_info info;
    khs_result r = khs_port_read(request.header.port, message, sizeof message, &info);
    if (r.code == KHS_CODE_OK) {
        memcpy(box->data, &info, sizeof info);
        memcpy(box->data + sizeof info, message, info.length);
        box->answer.size = sizeof info + info.length;
    }
    return r;
}

static khs_result perform(struct mailbox *box)
{
    uint32_t port = request.header.port, size = request.header.size, patience = request.header.timeout_us;
    khs_result r;
    switch (request.header.operation) {
    case KHS_CHANNEL_PORT:
        return look_up();
    case KHS_CHANNEL_STATUS:
        r = khs_port_status(port, (struct khs_port_status *)box->data);
        box->answer.size = r.code == KHS_CODE_OK ? sizeof(struct khs_port_status) : 0;
        return r;
    case KHS_CHANNEL_WRITE:
        return khs_port_write(port, request.data, size);
    case KHS_CHANNEL_READ:
        return read(box);
    case KHS_CHANNEL_SEND:
        return khs_port_send(port, request.data, size);
    case KHS_CHANNEL_RECEIVE:
        r = khs_port_receive(port, box->data, KHS_CHANNEL_DATA, patience);
        box->answer.size = r.code == KHS_CODE_OK ? r.value : 0;
        return r;
    case KHS_CHANNEL_CALL:
        r = khs_call(port, request.data, size, box->data, KHS_CHANNEL_DATA, patience);
        box->answer.size = r.code == KHS_CODE_OK ? r.value : 0;
        return r;
    default:
        return invalid();
    }
}

static void answer(struct mailbox *box)
{
    box->answer = (struct khs_channel_answer){
        .magic = KHS_CHANNEL_ANSWER,
        .number = request.header.number,
        .operation = request.header.operation,
    };
    khs_result r = perform(box);
    box->answer.code = r.code;
    box->answer.value = r.value;
    box->count++;
}

void main(void)
{
    size_t size;
    struct mailbox *box = khs_heap(&size);
    uint32_t input = khs_input(khs_name());
    khs_ready();
    for (;;) {
        khs_result r = khs_input_receive(input, incoming, sizeof incoming, FOREVER);
        if (r.code != KHS_CODE_OK || r.value < sizeof request.header)
            continue;
        memcpy(&request.header, incoming, sizeof request.header);
        if (request.header.size != r.value - sizeof request.header)
            continue;
        memcpy(request.data, incoming + sizeof request.header, request.header.size);
        answer(box);
    }
}
