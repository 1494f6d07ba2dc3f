/* KSS, the security monitor: public interface of the policy decision point.
 *
 * Freestanding C11. No globals, no allocation, no libc: the caller owns every
 * byte. A policy is a verified, immutable binary (policy.bin; the names behind its
 * numbers are in the policy.json that kss compile writes beside it); everything that
 * changes lives in one state block, so copying that block is a snapshot.
 *
 * FLASK terms: this is the PDP; the kernel that asks and obeys is the PEP.
 */
#ifndef KSS_H
#define KSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KSS_NO_CLASS UINT32_MAX
#define KSS_NO_RULE UINT32_MAX

/* Event kinds, in the order of the policy language's reference. */
enum kss_kind {
    KSS_EXECUTE = 0,
    KSS_REQUEST = 1,
    KSS_RESPONSE = 2,
    KSS_ERROR = 3,
    KSS_SECURITY = 4,
    KSS_KINDS = 5,
};

/* Message direction, `flags` of the message header. */
enum kss_direction { KSS_IN = 0, KSS_OUT = 1, KSS_ERR = 2 };

enum kss_reason {
    KSS_BY_RULES = 0,   /* rules were called and decided */
    KSS_BY_DEFAULT = 1, /* no rule matches: denied */
    KSS_BY_ERROR = 2,   /* an expression could not be evaluated: denied */
    KSS_MALFORMED = 3,  /* the message does not conform to its IDL type: denied */
};

/* Every message starts with this header; fields follow at offset 8 with natural
 * alignment (at most 8); the constant part is padded to a multiple of 8 and the
 * arena follows it. Little-endian. */
typedef struct kss_header {
    uint32_t riid;  /* endpoint id in the server's class */
    uint16_t mid;   /* method id in the endpoint's interface */
    uint16_t flags; /* enum kss_direction */
} kss_header;

/* bytes, string and sequence: a descriptor in the constant part (or in an arena
 * element); `offset` counts from the start of the arena, `size` is in bytes. */
typedef struct kss_span {
    uint32_t offset;
    uint32_t size;
} kss_span;

typedef struct kss_handle {
    uint32_t handle; /* SID */
    uint32_t rights;
} kss_handle;

typedef struct kss_event {
    uint32_t kind;
    uint32_t src_class; /* class indices of this policy, see kss_find_class */
    uint32_t dst_class; /* KSS_NO_CLASS for a security event */
    uint32_t src_sid;
    uint32_t dst_sid;      /* 0 for a security event */
    uint32_t released_sid; /* execute: the dead SID whose contexts go in the same
                              transaction; 0 = none */
    const uint8_t *message; /* whole message, header first; NULL for execute */
    uint32_t message_size;
    uint32_t trial; /* not 0: the kernel will not carry the event out even if it is
                       granted (a full queue, say): judged, but no state changes */
} kss_event;

typedef struct kss_verdict {
    bool granted;
    uint8_t reason;  /* enum kss_reason */
    uint16_t calls;  /* rules called, see kss_calls */
    uint32_t rule;   /* the rule that decided: the one that could not be evaluated (KSS_BY_ERROR),
                        else the first denial, else the last one called; KSS_NO_RULE if none was */
} kss_verdict;

/* One rule called for the last event, in call order. */
enum kss_result { KSS_DENIED = 0, KSS_GRANTED = 1, KSS_FAILED = 2, KSS_VALUE = 3 /* audit records only */ };
typedef struct kss_call {
    uint32_t rule;
    uint32_t result; /* enum kss_result */
} kss_call;

/* One call that an audit record tells of: of a rule, or of an expression (KSS_VALUE: `value` is
 * what it returned, or its number among the names that the symbols of policy.bin give). */
typedef struct kss_audited {
    uint32_t rule;
    uint32_t result; /* enum kss_result */
    uint32_t value;
} kss_audited;

/* What the audit profiles of the policy have recorded of an event. */
typedef struct kss_record {
    uint32_t level; /* audit level when the event arrived */
    uint32_t count;
    const kss_audited *calls; /* good until the next event */
} kss_record;

typedef enum kss_status {
    KSS_OK = 0,
    KSS_BAD_MAGIC,
    KSS_BAD_VERSION,
    KSS_BAD_SIZE,
    KSS_BAD_TABLE,   /* an offset, count or index points outside */
    KSS_BAD_PROGRAM, /* an instruction is unknown, ill-typed, or jumps backwards */
    KSS_BAD_LAYOUT,  /* a message type is inconsistent */
    KSS_BAD_MODEL,   /* a model object's configuration is inconsistent */
    KSS_NO_MEMORY,   /* the state block is smaller than kss_state_size */
    KSS_BAD_CHECKSUM, /* some bit is another than when the image was made */
} kss_status;

/* A loaded policy: pointers only, no state. */
typedef struct kss_policy {
    const uint8_t *image;
    size_t size;
    uint8_t *state;
} kss_policy;

/* Checks every byte of `image`, its checksum first (against accidents: whether it is the right
 * image is for the caller to know, by a signature or a hash); nothing else may be called on an image that this
 * refused. `image` must be 8-byte aligned. `where`, if not NULL, receives the offset of the defect. */
kss_status kss_verify(const void *image, size_t size, size_t *where);

/* Bytes of state a verified image needs; the block must be 16-byte aligned. */
size_t kss_state_size(const void *image);

/* Binds image (verified) and state and resets the state. */
kss_status kss_init(kss_policy *policy, const void *image, size_t size, void *state, size_t state_size);

/* Binds without touching the state: after the block was restored in place. */
void kss_bind(kss_policy *policy, const void *image, size_t size, void *state);

/* Carries the contexts of `from` into the freshly initialised `to`: objects that
 * agree in name, model, types and configuration keep theirs, SID by SID.
 * Returns the number of objects kept. */
uint32_t kss_migrate(kss_policy *to, const kss_policy *from);

/* Policy objects that the VM knows; they are numbered as in the symbols of policy.bin. */
uint32_t kss_objects(const kss_policy *policy);

/* kss_migrate for object `number` of `to` alone: whether it was kept. */
bool kss_migrate_object(kss_policy *to, uint32_t number, const kss_policy *from);

/* Class index by the first 8 bytes (little-endian) of SHA-256 of the class name;
 * KSS_NO_CLASS if the policy does not know it. */
uint32_t kss_find_class(const kss_policy *policy, uint64_t name_hash);

/* Judges one event: all matching rules must grant. State changes apply only if the
 * event is granted and no trial. Always ends: programs only jump forward. */
kss_verdict kss_judge(kss_policy *policy, const kss_event *event);

/* The rules called by the last kss_judge, `verdict.calls` of them. */
const kss_call *kss_calls(const kss_policy *policy);

/* What is to be recorded of the last event, whose verdict this is; false if nothing. A malformed
 * event and one denied by default always are, with no calls. */
bool kss_audit(const kss_policy *policy, kss_verdict verdict, kss_record *record);

/* Most calls that one record of a verified image has. */
uint32_t kss_audit_most(const void *image);

/* The audit level in force. */
uint32_t kss_audit_level(const kss_policy *policy);

/* kss_judge, and a call of `auditor` if the event is to be recorded. */
typedef void (*kss_auditor)(void *context, const kss_event *event, kss_verdict verdict, const kss_record *record);
static inline kss_verdict kss_judge_audited(kss_policy *policy, const kss_event *event, kss_auditor auditor,
                                            void *context) {
    kss_record record;
    kss_verdict verdict = kss_judge(policy, event);
    if (kss_audit(policy, verdict, &record))
        auditor(context, event, verdict, &record);
    return verdict;
}

/* Drops every context of a SID (a destroyed partition). */
void kss_release(kss_policy *policy, uint32_t sid);

/* Checks a message alone, as kss_judge does first. `server_class` owns the endpoint. */
bool kss_conforms(const kss_policy *policy, uint32_t server_class, uint32_t kind,
                  const uint8_t *message, uint32_t message_size);

#ifdef __cplusplus
}
#endif

#endif
