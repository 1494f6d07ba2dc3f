/* policy.bin: tables of fixed-size records, in the order of enum section_id, each
 * aligned to 8, without gaps. Lists lie in the order of their owners, so every
 * record has exactly one owner and verification is one pass. Little-endian.
 *
 * The last four bytes are the CRC-32 (IEEE 802.3) of all before them. At the end, and not
 * in the header, so that no burst of up to 32 flipped bits goes unseen, wherever it lies. */
#ifndef KSS_FORMAT_H
#define KSS_FORMAT_H

#include "kss.h"

#define KSS_MAGIC 0x5053534bu /* "KSSP" */
#define KSS_VERSION 4u
#define NONE UINT32_MAX
#define CHECKSUM_SIZE 4u
#define CHECKSUM_RESIDUE 0xdebb20e3u /* of an image with its CRC behind it */

#define REGISTERS 128u
#define IMMEDIATE REGISTERS /* as a or b: the instruction's imm, if that has no other use */
#define MAX_DEPTH 32u         /* nesting of sequences, arrays and unions in a message */
#define MAX_MESSAGE (16u << 20)
#define MAX_CALLS 0xffffu     /* kss_verdict.calls is 16 bits wide */
#define MAX_STATE 0x10000000u /* words of state: 1 GiB; as many in the log */
#define MAX_TRANSITIONS 0x10000u /* of an automaton: each is the start of a row, in 16 bits */
#define HEADER_SIZE 8u        /* of a message */

/* Every table: the name of its number, of its reader (image.h), and its records. */
#define KSS_TABLES(table)                                                                          \
    table(CLASSES, classes_of, struct class)                                                       \
    table(ENDPOINTS, endpoints_of, struct endpoint)                                                \
    table(OPERATIONS, operations_of, struct operation)                                             \
    table(TYPES, types_of, struct type)                                                            \
    table(NODES, nodes_of, struct node)                                                            \
    table(ROWS, rows_of, uint32_t) /* most bytes of a message that its entries read */             \
    table(CELLS, cells_of, uint16_t) /* a row's entries, by the peer's class */                    \
    table(ENTRIES, entries_of, struct entry)                                                       \
    table(CALLS, calls_of, kss_call) /* of constant verdicts */                                    \
    table(CODE, code_of, struct instruction)                                                       \
    table(OBJECTS, objects_of, struct object)                                                      \
    table(WORDS, words_of, uint32_t) /* configurations of objects, sets, texts */                  \
    table(AUTOMATA, automata_of, struct automaton)                                                 \
    table(TRANSITIONS, transitions_of, uint16_t) /* rows of automata */                            \
    table(WATCHED, watched_of, struct watched) /* of each rule id; empty if nothing is recorded */ \
    table(WATCHES, watches_of, struct watch)                                                       \
    table(SYMBOLS, symbols_of, uint8_t) /* for people and tools: not looked at */

#define NUMBER(name, reader, record) name,
enum section_id { KSS_TABLES(NUMBER) SECTIONS };
#undef NUMBER

struct section {
    uint32_t offset;
    uint32_t count; /* records */
};

struct image {
    uint32_t magic;
    uint32_t version;
    uint32_t size;      /* of the whole image */
    uint32_t rules;     /* rule ids are below this */
    uint32_t max_sids;  /* SIDs that may have contexts in one object */
    uint32_t max_calls; /* most rules one event calls */
    uint32_t max_writes; /* most words of state one event changes */
    uint32_t state_words; /* of all objects */
    uint32_t max_notes;   /* most notes one event takes for its audit record */
    uint32_t audit_level; /* until a rule sets another */
    struct section sections[SECTIONS];
};

struct class {
    uint64_t name_hash;
    uint32_t endpoint;        /* first: those offered by IPC, then the security interfaces */
    uint32_t endpoints;
    uint32_t security_endpoints;
    uint32_t execute_row;     /* this class is started by the class of the column */
};

struct endpoint {
    uint32_t operation; /* of method 0 */
    uint32_t operations;
};

/* By direction; a security interface has only KSS_IN. */
struct operation {
    uint32_t types[3];
    uint32_t rows[3]; /* request, response, error (or security) with the peer's class as column */
};

struct type {
    uint32_t size;  /* header and constant part, a multiple of 8 */
    uint32_t arena; /* most bytes of it */
    uint32_t node;  /* what must be checked beyond the size */
    uint32_t nodes;
};

enum node_kind { NODE_BYTES, NODE_STRING, NODE_SEQUENCE, NODE_ARRAY, NODE_UNION, NODE_MEMBER, NODE_KINDS };

/* A part of a message whose validity depends on its content. Offsets count from
 * the start of the enclosing element (or of the message). */
struct node {
    uint8_t kind;
    uint8_t depth;
    uint16_t alignment; /* of a sequence's elements */
    uint32_t offset;
    uint32_t limit;   /* most bytes, characters or elements; elements of an array; members */
    uint32_t size;    /* of an element */
    uint32_t inverse; /* ceil(2^32 / size): there is no divide instruction on ARMv7-A; 0 if size is 1 */
    uint32_t node;    /* children */
    uint32_t nodes;
};

enum entry_kind { ENTRY_DEFAULT, ENTRY_DENIED, ENTRY_GRANTED, ENTRY_PROGRAM, ENTRY_KINDS };

struct entry {
    uint32_t kind;
    uint32_t first;  /* call or instruction */
    uint32_t count;
    uint32_t rule;   /* that decided a constant verdict */
    uint32_t extent; /* bytes of the constant part a program reads */
    uint16_t registers; /* a program uses */
    uint16_t notes;     /* a program takes */
    uint32_t object;    /* whose contexts a program calls for first; NONE if it does not */
};

struct instruction {
    uint8_t op;
    uint8_t d, a, b; /* registers */
    uint32_t x;
    uint64_t imm;
};

struct object {
    uint64_t identity; /* hash of name, model, types and configuration */
    uint32_t model;
    uint32_t config; /* first word */
    uint32_t config_words;
    uint32_t capacity; /* contexts */
    uint32_t context_words;
    uint32_t state; /* first word */
};

/* Tells which of several patterns a text matches, with one look-up for each byte. A row is the
 * answer if the text ends there, then for each class of bytes the entry at which the next row
 * starts, counted from the automaton's first. */
struct automaton {
    uint32_t transition; /* first entry */
    uint32_t rows;
    uint32_t row_bits; /* log2 of the entries of a row */
    uint32_t start;    /* a row */
    uint32_t sinks;    /* rows below this lead to themselves only */
    uint32_t answers;  /* are below this */
    uint8_t column[256]; /* of each byte in a row, from 1 */
};

/* Of a rule id: its watches, one for each audit level that has any of it recorded. */
struct watched {
    uint32_t watch;
    uint32_t watches;
};

struct watch {
    uint8_t level;
    uint8_t results;    /* a bit for each enum kss_result that is recorded */
    uint16_t zero;
    uint32_t omit;      /* first of the words with a bit for each state in which it is not */
    uint32_t states;    /* bits there; 0 if there is no such state */
};

/* Fields of a record that an instruction uses are named in `operands` (verify_program.c). */
enum op {
    OP_END,
    OP_SRC,         /* d = source SID */
    OP_DST,         /* d = destination SID */
    OP_FIELD,       /* d = field of type x at offset imm of the constant part */
    OP_LOAD,        /* d = field of type x at address a + imm */
    OP_OFFSET,      /* d = address a + imm */
    OP_INDEX,       /* d = address of element b of the array at a: x elements of imm bytes */
    OP_ELEMENT,     /* d = address of element b of the sequence whose span is at a: elements of imm bytes */
    OP_SPAN,        /* d = address of the data of the span at a */
    OP_LENGTH,      /* d = number of elements of the span at a: elements of x bytes, inverse imm */
    OP_TEXT_LENGTH, /* d = bytes of the string whose span is at a, without the zero */
    OP_SCAN,        /* d = answer of automaton x to the string whose span is at a */
    OP_SUM,         /* d = sum of the b numbers of type x from address a on; overflow fails */
    OP_PRODUCT,
    OP_EXPECT,      /* fail unless a == imm (a union's tag) */
    OP_ADD,         /* d = a op b in type x; overflow fails */
    OP_SUB,
    OP_MUL,
    OP_NEG, /* d = op a in signed type x; overflow fails */
    OP_ABS,
    OP_AND, /* d = a op b */
    OP_OR,
    OP_NOT, /* d = ~a in type x */
    OP_EQ,  /* d = a op b */
    OP_NE,
    OP_LT, /* ... as values of type x */
    OP_LE,
    OP_INVERT, /* d = !a */
    OP_MOVE,   /* d = a */
    OP_JUMP,   /* forward by x */
    OP_JUMP_ZERO,
    OP_JUMP_NONZERO,
    OP_CALL, /* d = method b of object x with arguments from register a on and operand imm */
    OP_RULE, /* rule x granted iff a */
    OP_MARK, /* nothing; a failure above it is charged to rule x (or to none) */
    OP_NOTE, /* note number imm of the event, for its audit record: a, about rule x */
    OPS,
};

/* Types of integers: width in the low two bits, then the sign. */
enum { U8, U16, U32, U64, S8, S16, S32, S64, INTEGER_TYPES };

static inline bool is_signed(uint32_t type) { return type >= S8; }
static inline uint32_t width_of(uint32_t type) { return 1u << (type & 3u); }

_Static_assert(sizeof(struct image) == 40 + 8 * SECTIONS, "layout");
_Static_assert(sizeof(struct watched) == 8 && sizeof(struct watch) == 12, "layout");
_Static_assert(sizeof(struct class) == 24 && sizeof(struct endpoint) == 8, "layout");
_Static_assert(sizeof(struct operation) == 24 && sizeof(struct type) == 16, "layout");
_Static_assert(sizeof(struct node) == 28 && sizeof(struct entry) == 28, "layout");
_Static_assert(sizeof(struct instruction) == 16 && sizeof(struct object) == 32, "layout");
_Static_assert(sizeof(struct automaton) == 280, "layout");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "policy.bin is read in place");

#endif
