/* Runs cases from a file against the VM; built with ASan and UBSan.
 *
 * A case: u32 size, image; u32 events; each event: seven u32 (kind, src_class, dst_class, src_sid,
 * dst_sid, released_sid, size of the message or ~0 for none), message. Images, messages and states
 * are copied to blocks of their exact size, so that any access beyond them is seen. Prints a line
 * for each case: "refused STATUS WHERE" or "ran GRANTED DENIED". Exits 1 with a line on stderr if a
 * promise of kss.h is broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kss.h"

static const uint8_t *input;
static size_t left;

static const uint8_t *take(size_t size) {
    if (size > left) {
        fprintf(stderr, "the case file is cut short\n");
        exit(2);
    }
    const uint8_t *start = input;
    input += size;
    left -= size;
    return start;
}

static uint32_t number(void) {
    uint32_t value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
}

static void *copy(const uint8_t *from, size_t size) {
    void *block = malloc(size ? size : 1); /* aligned to 16 */
    if (!block)
        exit(2);
    memcpy(block, from, size);
    return block;
}

static void broken(const char *promise) {
    fprintf(stderr, "broken promise: %s\n", promise);
    exit(1);
}

static void check_calls(const kss_policy *policy, kss_verdict verdict) {
    const kss_call *calls = kss_calls(policy);
    bool granted = verdict.calls > 0, failed = false;
    uint32_t rule = KSS_NO_RULE;
    for (uint32_t i = 0; i < verdict.calls; i++) {
        if (calls[i].result > KSS_FAILED || failed)
            broken("a failure is the last call");
        failed = calls[i].result == KSS_FAILED;
        if (granted || failed)
            rule = calls[i].rule;
        granted &= calls[i].result == KSS_GRANTED;
    }
    if (verdict.granted != granted && !(verdict.reason == KSS_BY_ERROR && !verdict.granted))
        broken("granted iff all calls grant");
    if (verdict.reason == KSS_BY_ERROR && !failed)
        rule = KSS_NO_RULE; /* the failure of no rule */
    if (verdict.rule != rule)
        broken("the rule that decided");
    if (failed && verdict.reason != KSS_BY_ERROR)
        broken("a failure is an error");
    if ((verdict.reason == KSS_BY_DEFAULT || verdict.reason == KSS_MALFORMED) && verdict.calls)
        broken("no calls without rules");
}

static void check_audit(const kss_policy *policy, kss_verdict verdict) {
    kss_record record;
    bool always = verdict.reason == KSS_BY_DEFAULT || verdict.reason == KSS_MALFORMED;
    if (!kss_audit(policy, verdict, &record)) {
        if (always)
            broken("what no rule decided is recorded");
        return;
    }
    if (record.level > 255 || record.count > kss_audit_most(policy->image) || always != !record.count)
        broken("a record's size");
    for (uint32_t i = 0; i < record.count; i++)
        if (record.calls[i].result > KSS_VALUE ||
            (record.calls[i].result != KSS_VALUE && record.calls[i].value))
            broken("a recorded call");
}

/* Where the words of objects lie in the state: after the head, the calls and the log. */
static void find_words(const uint8_t *image, size_t *start, size_t *size) {
    uint32_t header[10];
    memcpy(header, image, sizeof header);
    *start = 24 + 8 * (size_t)header[5] + 8 * (size_t)header[6];
    *size = 4 * (size_t)header[7];
}

static bool run_event(kss_policy *policy, uint8_t *before, size_t state_size) {
    size_t start, words;
    find_words(policy->image, &start, &words);
    kss_event event = {.kind = number()};
    event.src_class = number();
    event.dst_class = number();
    event.src_sid = number();
    event.dst_sid = number();
    event.released_sid = number();
    uint32_t size = number();
    uint8_t *message = NULL;
    if (size != UINT32_MAX) {
        message = copy(take(size), size);
        event.message = message;
        event.message_size = size;
    }
    memcpy(before, policy->state, state_size);
    kss_verdict verdict = kss_judge(policy, &event);
    check_calls(policy, verdict);
    check_audit(policy, verdict);
    if (!verdict.granted && memcmp(before + start, policy->state + start, words))
        broken("a denial changes nothing");
    uint32_t server = event.kind == KSS_REQUEST ? event.dst_class : event.src_class;
    if (kss_conforms(policy, server, event.kind, message, event.message_size) &&
        verdict.reason == KSS_MALFORMED)
        broken("a message that conforms is not malformed");
    kss_verdict again = kss_judge(policy, &event);
    if (!verdict.granted && memcmp(&verdict, &again, sizeof verdict))
        broken("the same question has the same answer");
    free(message);
    return verdict.granted;
}

static void skip_events(uint32_t events) {
    for (; events; events--) {
        for (int i = 0; i < 6; i++)
            number();
        uint32_t size = number();
        if (size != UINT32_MAX)
            take(size);
    }
}

static void run_case(void) {
    uint32_t size = number();
    uint8_t *image = copy(take(size), size);
    uint32_t events = number();
    size_t where = 0;
    kss_status status = kss_verify(image, size, &where);
    if (status != KSS_OK) {
        if (where > size)
            broken("a defect lies within the image");
        printf("refused %d %zu\n", status, where);
        skip_events(events);
        free(image);
        return;
    }
    size_t state_size = kss_state_size(image);
    if (state_size > 64u << 20) { /* allowed, but slow to compare after every event */
        printf("large %zu\n", state_size);
        skip_events(events);
        free(image);
        return;
    }
    uint8_t *state = malloc(state_size), *before = malloc(state_size), *other = malloc(state_size);
    kss_policy policy, fresh;
    if (kss_init(&policy, image, size, state, state_size - 1) != KSS_NO_MEMORY)
        broken("a small block is refused");
    if (kss_init(&policy, image, size, state, state_size) != KSS_OK)
        broken("a verified image can be initialised");
    uint32_t granted = 0, denied = 0;
    for (uint32_t i = 0; i < events; i++) {
        if (run_event(&policy, before, state_size))
            granted++;
        else
            denied++;
        if (i % 16 == 15)
            kss_release(&policy, i % 8);
    }
    kss_init(&fresh, image, size, other, state_size);
    kss_migrate(&fresh, &policy);
    printf("ran %u %u\n", granted, denied);
    free(image);
    free(state);
    free(before);
    free(other);
}

int main(int count, char **arguments) {
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END))
        return 2;
    left = (size_t)ftell(file);
    rewind(file);
    uint8_t *all = malloc(left);
    if (fread(all, 1, left, file) != left)
        return 2;
    input = all;
    while (left)
        run_case();
    fclose(file);
    free(all);
    return 0;
}
