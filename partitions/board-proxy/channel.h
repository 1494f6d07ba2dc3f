/* What a machine beside the native partitions says to the kernel, and is told: packets on its
 * second serial line, little-endian, a header and `size` bytes of data each. docs/boards.md has
 * the operations. One request at a time; the answer has its number and its operation.
 */
#ifndef KHS_BOARD_CHANNEL_H
#define KHS_BOARD_CHANNEL_H

#include <stdint.h>

#define KHS_CHANNEL_REQUEST 0x3153484bu /* "KHS1" */
#define KHS_CHANNEL_ANSWER 0x4153484bu  /* "KHSA" */
#define KHS_CHANNEL_DATA 4096u          /* bytes of data at most */

enum khs_channel_operation {
    KHS_CHANNEL_PORT = 1,    /* data: name of a channel; value: number of the port */
    KHS_CHANNEL_STATUS = 2,  /* data: khs_port_status */
    KHS_CHANNEL_WRITE = 3,   /* sampling port; data: message */
    KHS_CHANNEL_READ = 4,    /* sampling port; data: khs_port_info, then the message */
    KHS_CHANNEL_SEND = 5,    /* queuing port; data: message */
    KHS_CHANNEL_RECEIVE = 6, /* queuing port; data: message */
    KHS_CHANNEL_CALL = 7,    /* call channel; data: request; data of the answer: the reply */
};

struct khs_channel_request {
    uint32_t magic;
    uint16_t number;
    uint16_t operation;
    uint32_t port;
    uint32_t timeout_us; /* receive, call */
    uint32_t size;
};

struct khs_channel_answer {
    uint32_t magic;
    uint16_t number;
    uint16_t operation;
    uint32_t code; /* of the hypercall, KHS_CODE_... */
    uint32_t value;
    uint32_t size;
};

_Static_assert(sizeof(struct khs_channel_request) == 20 && sizeof(struct khs_channel_answer) == 20,
               "headers of 20 bytes");

#endif
