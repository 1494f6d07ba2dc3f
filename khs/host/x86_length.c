/* Lengths of x86 instructions, as QEMU's translator decodes them. Needed off the fast
 * path only: to tell which instruction of a block faulted, and to find instructions
 * that must not run. The tables are those of the Intel SDM, volume 2, appendix A. */
#include "internal.h"

/* What follows an opcode:
 *   . nothing  m modrm  b imm8  w imm16  z imm16 or imm32  M, N modrm and imm8, immz
 *   v immz, or imm64 with REX.W  o address  f far pointer  e imm16 and imm8
 *   g, G modrm, and imm8, immz for `test`  p prefix  x escape  t, T further opcode byte
 *   E modrm and two imm8 if prefixed (SSE4a) */
static const char one_byte[] =
    "mmmmbz..mmmmbz.x" "mmmmbz..mmmmbz.." "mmmmbzp.mmmmbzp." "mmmmbzp.mmmmbzp."
    "................" "................" "..mmppppzNbM...." "bbbbbbbbbbbbbbbb"
    "MNMMmmmmmmmmmmmm" "..........f....." "oooo....bz......" "bbbbbbbbvvvvvvvv"
    "MMw.mmMNe.w..b.." "mmmmbb..mmmmmmmm" "bbbbbbbbzzfb...." "p.pp..gG......mm";
static const char two_byte[] =
    "mmmm.........m.M" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "........t.T....."
    "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "MMMMmmm.Em..mmmm"
    "zzzzzzzzzzzzzzzz" "mmmmmmmmmmmmmmmm" "...mMm.....mMmmm" "mmmmmmmmmmMmmmmm"
    "mmMmMMMm........" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm" "mmmmmmmmmmmmmmmm";

typedef struct decoded {
    uint32_t opcode_at;
    bool data16, address_override, rex_w, sse_prefix, wide;
} decoded;

/* Prefixes in any order and number; the last REX counts. */
static uint32_t prefixes(const uint8_t *code, uint32_t size, decoded *d)
{
    uint32_t at = 0;
    for (; at < size; at++) {
        uint8_t b = code[at];
        if (d->wide && (b & 0xf0) == 0x40)
            d->rex_w = (b & 8) != 0;
        else if (one_byte[b] != 'p')
            break;
        d->data16 |= b == 0x66;
        d->address_override |= b == 0x67;
        d->sse_prefix |= b == 0x66 || b == 0xf2;
    }
    return at;
}

/* Bytes of modrm, SIB and displacement; 0 if they do not fit. */
static uint32_t modrm_length(const uint8_t *code, uint32_t size, const decoded *d)
{
    if (size < 1)
        return 0;
    uint32_t mod = code[0] >> 6, rm = code[0] & 7, length = 1;
    if (mod == 3)
        return 1;
    if (d->address_override && !d->wide)
        return length + (mod == 0 ? (rm == 6 ? 2 : 0) : mod);
    if (rm == 4) {
        if (size < 2)
            return 0;
        length++;
        rm = code[1] & 7;
    }
    if (mod == 0)
        return length + (rm == 5 ? 4 : 0);
    return length + (mod == 1 ? 1 : 4);
}

static uint32_t immediate_length(char kind, uint8_t modrm, const decoded *d)
{
    uint32_t z = d->data16 && !d->rex_w ? 2 : 4;
    bool tests = (modrm >> 3 & 7) < 2;
    switch (kind) {
    case 'b': case 'M': case 'T': return 1;
    case 'w': return 2;
    case 'z': case 'N': return z;
    case 'v': return d->rex_w ? 8 : z;
    case 'o': return d->wide ? (d->address_override ? 4 : 8) : (d->address_override ? 2 : 4);
    case 'f': return z + 2;
    case 'e': return 3;
    case 'g': return tests ? 1 : 0;
    case 'G': return tests ? z : 0;
    case 'E': return d->sse_prefix ? 2 : 0;
    default: return 0;
    }
}

static bool has_modrm(char kind)
{
    switch (kind) {
    case 'm': case 'M': case 'N': case 'g': case 'G': case 't': case 'T': case 'E': return true;
    default: return false;
    }
}

static uint32_t decode(const uint8_t *code, uint32_t size, decoded *d)
{
    uint32_t at = d->opcode_at = prefixes(code, size, d);
    if (at >= size)
        return 0;
    char kind = one_byte[code[at++]];
    if (kind == 'x') {
        if (at >= size)
            return 0;
        kind = two_byte[code[at++]];
        at += kind == 't' || kind == 'T';
    }
    uint8_t modrm = 0;
    if (has_modrm(kind)) {
        uint32_t length = at < size ? modrm_length(code + at, size - at, d) : 0;
        if (length == 0)
            return 0;
        modrm = code[at];
        at += length;
    }
    at += immediate_length(kind, modrm, d);
    return at <= size ? at : 0;
}

static enum khs_x86_kind d9_kind(uint8_t modrm)
{
    switch (modrm) {
    case 0xf0: /* f2xm1 */
    case 0xf1: /* fyl2x */
    case 0xf2: /* fptan */
    case 0xf3: /* fpatan */
    case 0xf9: /* fyl2xp1 */
    case 0xfb: /* fsincos */
    case 0xfe: /* fsin */
    case 0xff: /* fcos */
        return KHS_X86_TRANSCENDENTAL;
    default:
        return KHS_X86_PLAIN;
    }
}

/* In 32-bit mode the same bytes with a memory operand are lds and les. */
static bool is_vex(const uint8_t *opcode, uint32_t size, bool wide)
{
    return (opcode[0] & 0xfe) == 0xc4 && size > 1 && (wide || opcode[1] >= 0xc0);
}

uint32_t khs_x86_decode(const uint8_t *code, uint32_t size, bool wide, enum khs_x86_kind *kind)
{
    decoded d = {.wide = wide};
    uint32_t length = decode(code, size, &d);
    *kind = KHS_X86_PLAIN;
    if (length == 0)
        return 0;
    uint8_t opcode = code[d.opcode_at];
    if ((opcode & 0xfc) == 0x6c || (opcode & 0xf4) == 0xe4) /* ins, outs; in, out */
        *kind = KHS_X86_PORT;
    else if (is_vex(code + d.opcode_at, length - d.opcode_at, wide))
        *kind = KHS_X86_VEX;
    else if (opcode == 0xd9)
        *kind = d9_kind(code[d.opcode_at + 1]);
    return length;
}

uint32_t khs_host_x86_length(const void *code, uint64_t size, uint32_t bits)
{
    enum khs_x86_kind kind;
    return khs_x86_decode(code, size < 64 ? (uint32_t)size : 64, bits == 64, &kind);
}
