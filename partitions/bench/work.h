/* One round of mixed computing with a result that is the same on every architecture. */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

enum { WORK_RESULT = 0x2d7c6161 }; /* of work(1) */

/* Every kernel once, on data made from `seed`; a hash of all results. */
uint32_t work(uint32_t seed);

#endif
