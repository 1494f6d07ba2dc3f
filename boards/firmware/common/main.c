/* The kernel on a board: checks the boot image, boots the core in the memory left, and runs
 * what the core says until the run's end. */
#include "firmware.h"

#define RING (256u * 1024u)
#define ALIGNMENT 16u
#define REPORT_FRAMES 8u /* between two reports of how far the run is */

static firmware board;

static bool has(const image_header *image, image_part part, uint64_t record)
{
    return part.offset % 8 == 0 && part.offset <= image->size && part.size <= (image->size - part.offset) / record;
}

static void check_tables(const image_header *image)
{
    const image_part *policies = (const void *)((const uint8_t *)image + image->policies.offset);
    const image_input *inputs = (const void *)((const uint8_t *)image + image->inputs.offset);
    for (uint64_t i = 0; i < image->policies.size; i++)
        if (!has(image, policies[i], 1))
            firmware_fail("the boot image does not hold policy", i);
    for (uint64_t i = 0; i < image->inputs.size; i++)
        if (!has(image, inputs[i].data, 1) || (i && inputs[i].tick < inputs[i - 1].tick))
            firmware_fail("the boot image is wrong about input", i);
}

static const image_header *find_image(void)
{
    const image_header *image = (const void *)board_image;
    if (image->magic != IMAGE_MAGIC || image->version != IMAGE_VERSION)
        firmware_fail("there is no boot image of this version at", board_image);
    if (image->size < sizeof *image || !has(image, image->config, 1) || !has(image, image->memory, 1) ||
        !has(image, image->policies, sizeof(image_part)) || !has(image, image->inputs, sizeof(image_input)) ||
        !has(image, image->swaps, sizeof(image_swap)) ||
        !has(image, image->devices, sizeof(image_device)) || !has(image, image->lines, sizeof(image_line)))
        firmware_fail("the boot image is cut short, bytes", image->size);
    if (image->size % PAGE || image->log_size & (image->log_size - 1))
        firmware_fail("the boot image is wrong about its log, bytes", image->log_size);
    check_tables(image);
    return image;
}

static void open_config(firmware *f)
{
    size_t where = 0;
    f->config = image_at(f, f->image->config);
    khs_status status = khs_config_check(f->config, (size_t)f->image->config.size, &where);
    if (status != KHS_OK_STATUS)
        firmware_fail("config.bin is wrong at", where);
    if (f->config->arch != CPU_ARCH)
        firmware_fail("the system is for another architecture, number", f->config->arch);
    f->partitions = config_table(f, f->config->partitions);
    f->maps = config_table(f, f->config->maps);
    f->regions = config_table(f, f->config->regions);
}

static uint32_t boot(firmware *f)
{
    size_t ring = khs_ring_size(f->config);
    if (ring < RING)
        ring = RING;
    f->core = memory_pages(khs_core_size(), ALIGNMENT);
    void *state = memory_pages(khs_state_size(f->config), ALIGNMENT);
    return khs_boot(f->core, f->config, state, memory_pages(ring, ALIGNMENT), ring, f);
}

static void count_clock(firmware *f)
{
    uint32_t now = board_clock();
    f->clock += now - f->clock_read;
    f->clock_read = now;
}

/* Runs partitions until something else is to be done, at `end`, the frame's, at the latest. */
static khs_action run_partitions(firmware *f, uint64_t end)
{
    for (;;) {
        khs_action action = khs_next(f->core, f->paced ? devices_pace(f) : end);
        if (action.kind != KHS_RUN)
            return action;
        run_partition(f, action.partition, action.budget);
    }
}

static void run(firmware *f)
{
    while (f->image->frames == 0 || khs_frames(f->core) < f->image->frames) {
        uint64_t end = khs_frame_end(f->core);
        khs_action action = run_partitions(f, end);
        count_clock(f);
        channel_drain(f);
        if (action.kind == KHS_STOPPED)
            break;
        if (action.kind == KHS_PAUSE && khs_now(f->core) == end && khs_frames(f->core) % REPORT_FRAMES == 0)
            channel_report(f, CHANNEL_STATUS, KHS_OK_STATUS);
    }
    channel_drain(f);
}

void firmware_main(void)
{
    firmware *f = &board;
    board_open();
    f->clock_read = board_clock();
    f->image = find_image();
    open_config(f);
    memory_open(f);
    run_open(f);
    devices_open(f);
    uint32_t status = boot(f);
    if (status == KHS_OK_STATUS)
        run(f);
    channel_report(f, CHANNEL_END, status);
    board_exit(EXIT_DONE, f->image->flags & IMAGE_EMULATED);
}
