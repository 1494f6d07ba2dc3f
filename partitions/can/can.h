/* One CAN controller, whatever its make: can_flexcan.c and can_sja1000.c. */
#ifndef CAN_H
#define CAN_H

#include <khs/khs.h>

/* `id` has 11 bits, or 29 if it is extended. A remote frame has a size and no data. */
struct can_frame {
    uint32_t id;
    bool extended;
    bool remote;
    uint8_t size;
    uint8_t data[8];
};

/* 1 Mbit/s, every frame is taken. Its interrupt, for what comes in or may go out, is to be answered by
 * reading until there is nothing. */
void can_open(const struct khs_start_device *device);
/* The next frame that came in; false if there is none. */
bool can_read(struct can_frame *frame);
/* In the order of their identifiers at most, and of equal ones as they were sent; waits for room. From
 * the program or from its handler, not from both. */
void can_send(const struct can_frame *frame);
/* Frames were lost since the last time, as nobody read them. */
bool can_lost(void);

#endif
