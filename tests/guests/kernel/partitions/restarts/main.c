/* What memory holds at each start: every place is counted up once a start, so that it shows how
 * many starts it has lived through. Two cold restarts, then two warm ones. */
#include <khs/khs.h>

static uint32_t data = 5, bss;

void main(void)
{
    struct khs_partition_status status;
    uint32_t *kept = khs_region("kept", NULL), *own = khs_region("own", NULL);
    uint32_t *shared = khs_region("shared", NULL), *heap = khs_heap(NULL);
    khs_partition_status(&status);
    khs_print("kept %u own %u shared %u heap %u data %u bss %u\n", *kept, *own, *shared, *heap, data, bss);
    (*kept)++, (*own)++, (*shared)++, (*heap)++, data++, bss++;
    khs_ready();
    khs_wait();
    if (status.restarts < 4)
        khs_partition_mode_set(status.restarts < 2 ? KHS_MODE_COLD_START : KHS_MODE_WARM_START);
    for (;;)
        khs_wait();
}
