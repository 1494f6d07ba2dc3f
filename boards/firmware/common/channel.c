/* Out of the board: event records, whole and in order, as packets; and text for people on the
 * console. Virtual time stands still while they leave. */
#include "../../../khs/core/internal.h"
#include "firmware.h"

/* As much as there is room for; waits for the runner if there is none. */
static uint32_t put_shared(const firmware *f, const uint8_t *data, size_t size)
{
    channel_log *log = image_log(f);
    uint32_t room = f->image->log_size, at = log->written & (room - 1), taken = log->taken;
    uint32_t used = log->written - taken;
    if (used >= room) {
        board_bell();
        while (log->taken == taken) {
        }
        return 0;
    }
    uint32_t most = (uint32_t)khs_min(room - used, room - at);
    uint32_t some = (uint32_t)khs_min(size, most);
    khs_copy(log->ring + at, data, some);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    log->written += some;
    return some;
}

static void put(const firmware *f, const void *data, size_t size)
{
    const uint8_t *from = data;
    if (f->image->log_size)
        for (size_t done = 0; done < size;)
            done += put_shared(f, from + done, size - done);
    else
        for (size_t i = 0; i < size; i++)
            board_event_byte(from[i]);
}

static void begin_packet(const firmware *f, uint32_t kind, uint32_t size)
{
    const uint32_t header[] = {kind, size};
    put(f, header, sizeof header);
}

static void end_packet(const firmware *f)
{
    if (f->image->log_size)
        board_bell();
}

static void echo_console(const uint8_t *records, size_t size)
{
    for (const uint8_t *r = records; r < records + size;) {
        const khs_event *event = (const void *)r;
        const uint8_t *text = r + sizeof *event + event->args * sizeof(uint64_t);
        for (uint32_t i = 0; event->type == KHS_EV_CONSOLE && i < event->data; i++)
            board_console_byte(text[i]);
        r += event->size;
    }
}

void channel_drain(firmware *f)
{
    const uint8_t *records;
    size_t size;
    while ((size = khs_events(f->core, &records)) > 0) {
        begin_packet(f, CHANNEL_EVENTS, (uint32_t)size);
        put(f, records, size);
        end_packet(f);
        echo_console(records, size);
        khs_drained(f->core);
    }
}

void channel_report(const firmware *f, uint32_t kind, uint32_t boot_status)
{
    channel_status status = {
        .boot_status = boot_status,
        .clock = f->clock,
        .trap_ticks = f->call_ticks,
        .partitions = f->config->partitions.count,
    };
    bool booted = boot_status == KHS_OK_STATUS;
    if (booted) {
        status.tick = khs_now(f->core);
        status.frames = khs_frames(f->core);
        status.schedule = khs_schedule(f->core);
        status.stopped = khs_has_stopped(f->core);
    }
    begin_packet(f, kind, sizeof status + status.partitions * (uint32_t)sizeof(khs_partition_view));
    put(f, &status, sizeof status);
    for (uint32_t i = 0; i < status.partitions; i++) {
        khs_partition_view view = {0};
        if (booted)
            khs_view(f->core, i, &view);
        put(f, &view, sizeof view);
    }
    end_packet(f);
}

void console_text(const char *text)
{
    while (*text)
        board_console_byte((uint8_t)*text++);
}

void console_hex(uint64_t value)
{
    console_text("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        if (shift == 0 || value >> shift)
            board_console_byte((uint8_t)"0123456789abcdef"[value >> shift & 15]);
}

/* Before the boot image is known there may be an emulator; one that is not there traps. */
void firmware_fail(const char *why, uint64_t value)
{
    static bool failed;
    bool again = failed;
    failed = true;
    console_text("khs: ");
    console_text(why);
    console_text(" ");
    console_hex(value);
    console_text("\n");
    board_exit(EXIT_REFUSED, !again);
}
