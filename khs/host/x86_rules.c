/* What QEMU's translator carries out although a processor like this one would not in user
 * mode, or would with another result. Told by prefixes and opcode alone, which no length
 * is needed for; see Intel SDM, volume 2, appendix A, and `lock` there. */
#include "internal.h"

enum { PROTECTION = 13, LOCK = 0xf0, ESCAPE = 0x0f };

typedef struct instruction {
    const uint8_t *opcode;
    bool wide, lock, data16, rep, repne;
} instruction;

static instruction parse(const uint8_t *code, bool wide)
{
    instruction it = {.opcode = code, .wide = wide};
    for (; it.opcode < code + KHS_X86_LONGEST - 1; it.opcode++) {
        switch (*it.opcode) {
        case LOCK: it.lock = true; break;
        case 0x66: it.data16 = true; break;
        case 0xf3: it.rep = true; break;
        case 0xf2: it.repne = true; break;
        case 0x67: case 0x2e: case 0x36: case 0x3e: case 0x26: case 0x64: case 0x65: break;
        default:
            if (!wide || (*it.opcode & 0xf0) != 0x40) /* REX */
                return it;
        }
    }
    return it;
}

const uint8_t *khs_x86_opcode(const uint8_t *code, bool wide)
{
    return parse(code, wide).opcode;
}

static bool is_memory(uint8_t modrm)
{
    return modrm < 0xc0;
}

static uint32_t reg(uint8_t modrm)
{
    return modrm >> 3 & 7;
}

/* Port input and output: QEMU checks no privilege. */
static bool is_port(uint8_t opcode)
{
    return (opcode & 0xf4) == 0xe4; /* in, out */
}

static bool is_port_string(uint8_t opcode)
{
    return (opcode & 0xfc) == 0x6c; /* ins, outs */
}

/* AVX and BMI, which this processor lacks: QEMU would do as with SSE. In 32-bit mode the
 * same bytes with a memory operand are lds and les. */
static bool is_vex(const instruction *it)
{
    return (it->opcode[0] & 0xfe) == 0xc4 && (it->wide || !is_memory(it->opcode[1]));
}

/* The result would be that of the host's libm. */
static bool is_transcendental(const instruction *it)
{
    if (it->opcode[0] != 0xd9)
        return false;
    switch (it->opcode[1]) {
    case 0xf0: /* f2xm1 */
    case 0xf1: /* fyl2x */
    case 0xf2: /* fptan */
    case 0xf3: /* fpatan */
    case 0xf9: /* fyl2xp1 */
    case 0xfb: /* fsincos */
    case 0xfe: /* fsin */
    case 0xff: /* fcos */
        return true;
    default:
        return false;
    }
}

/* And cmpxchg16b. */
static bool is_cmpxchg8b(const instruction *it)
{
    return it->opcode[0] == ESCAPE && it->opcode[1] == 0xc7 && reg(it->opcode[2]) == 1 && is_memory(it->opcode[2]);
}

/* Whether `lock` may stand before it; else it is undefined, but QEMU ignores the prefix. */
static bool is_lockable(const instruction *it)
{
    bool escaped = it->opcode[0] == ESCAPE;
    uint8_t opcode = it->opcode[escaped], modrm = it->opcode[1 + escaped];
    if (!is_memory(modrm))
        return false;
    if (escaped)
        switch (opcode) {
        case 0xab: case 0xb3: case 0xbb: return true;            /* bts, btr, btc */
        case 0xb0: case 0xb1: case 0xc0: case 0xc1: return true; /* cmpxchg, xadd */
        case 0xba: return reg(modrm) >= 5;
        default: return is_cmpxchg8b(it);
        }
    switch (opcode) {
    case 0x80: case 0x81: case 0x82: case 0x83: return reg(modrm) != 7; /* all but cmp */
    case 0x86: case 0x87: return true;                                  /* xchg */
    case 0xf6: case 0xf7: return reg(modrm) == 2 || reg(modrm) == 3;    /* not, neg */
    case 0xfe: case 0xff: return reg(modrm) < 2;                        /* inc, dec */
    default: return opcode < 0x38 && (opcode & 7) < 2;                  /* add to xor */
    }
}

/* Undefined with a memory operand, which QEMU takes for a register. */
static bool lacks_register(const instruction *it)
{
    if (it->opcode[0] != ESCAPE || !is_memory(it->opcode[2]))
        return false;
    switch (it->opcode[1]) {
    case 0x50: case 0x71: case 0x72: case 0x73: return true; /* movmsk, shifts */
    case 0x78: return it->data16 || it->repne;               /* extrq, insertq */
    case 0xd6: return it->rep || it->repne;                  /* movq2dq, movdq2q */
    default: return false;
    }
}

/* Stores that QEMU makes in a helper: when one faults, the block goes on behind it, up to
 * another access to memory. On the twin the hook before the next instruction stops it. */
static bool stores_late(const instruction *it)
{
    bool escaped = it->opcode[0] == ESCAPE;
    uint8_t opcode = it->opcode[escaped], modrm = it->opcode[1 + escaped];
    if (escaped && opcode == 0xf7)
        return true; /* maskmovq, maskmovdqu */
    if (!is_memory(modrm))
        return false;
    if (escaped)
        return (opcode == 0xae && reg(modrm) == 0) || is_cmpxchg8b(it); /* fxsave */
    switch (opcode) {
    case 0xd9: case 0xdd: case 0xdf: return reg(modrm) == 6; /* fnstenv, fnsave, fbstp */
    case 0xdb: return reg(modrm) == 7;                       /* fstp m80 */
    default: return false;
    }
}

/* Flags that are used or left as QEMU had noted them for the instruction, before Unicorn's
 * hook gave them another form: after a miss in the TLB, or by cmpxchg8b always. The first
 * instruction of a run finds them in that form already. */
static bool minds_flags(const instruction *it)
{
    const uint8_t pushf = 0x9c;
    uint8_t opcode = it->opcode[0];
    bool is_string = (opcode & 0xfc) == 0xa4 || (opcode >= 0xaa && opcode <= 0xaf);
    return opcode == pushf || (is_string && (it->rep || it->repne)) || is_cmpxchg8b(it);
}

/* bt, bts, btr, btc: QEMU leaves overflow and auxiliary carry alone or not, depending on what
 * it translated before them in the same block. A hook makes it leave them alone, as processors
 * do; on the twin each instruction has one. */
static bool tests_bit(const instruction *it)
{
    if (it->opcode[0] != ESCAPE)
        return false;
    switch (it->opcode[1]) {
    case 0xa3: case 0xab: case 0xb3: case 0xba: case 0xbb: return true;
    default: return false;
    }
}

static uint32_t refuse(khs_latch *fault, uint32_t kind, uint32_t detail)
{
    fault->kind = kind;
    fault->detail = detail;
    return KHS_X86_REFUSED;
}

uint32_t khs_x86_port_width(const uint8_t *code, bool wide)
{
    instruction it = parse(code, wide);
    return !(*it.opcode & 1) ? 1 : it.data16 ? 2 : 4;
}

uint32_t khs_x86_rules(const uint8_t *code, bool wide, khs_latch *fault)
{
    const uint8_t iret = 0xcf; /* no segment can be loaded, but QEMU looks into a TSS first */
    instruction it = parse(code, wide);
    if ((it.lock && !is_lockable(&it)) || is_vex(&it) || lacks_register(&it))
        return refuse(fault, KHS_FAULT_UNDEFINED, 0);
    if (is_transcendental(&it))
        return refuse(fault, KHS_FAULT_UNDEFINED, KHS_DETAIL_REFUSED);
    if (is_port(*it.opcode))
        return refuse(fault, KHS_FAULT_PRIVILEGED, PROTECTION) | KHS_X86_PORT;
    if (is_port_string(*it.opcode) || *it.opcode == iret)
        return refuse(fault, KHS_FAULT_PRIVILEGED, PROTECTION);
    return (stores_late(&it) ? KHS_X86_STEPPED : 0u) | (minds_flags(&it) ? KHS_X86_FIRST : 0u) |
           (tests_bit(&it) ? KHS_X86_HOOKED : 0u);
}

/* In memory: shifts, what sets a byte by the flags or adds or subtracts with carry, and what has a
 * hook of its own. */
bool khs_x86_may_restart(const uint8_t *opcode)
{
    bool escaped = *opcode == ESCAPE;
    uint8_t code = opcode[escaped], modrm = opcode[1 + escaped];
    if (!is_memory(modrm))
        return true;
    if (escaped)
        return !((code & 0xf0) == 0x90 || (code & 0xf6) == 0xa4 || code == 0xa3 || code == 0xab || code == 0xb3 ||
                 code == 0xba || code == 0xbb); /* setcc; shld, shrd; bt, bts, btr, btc */
    if ((code & 0xfe) == 0xc0 || (code & 0xfc) == 0xd0 || (code & 0xf4) == 0x10)
        return false; /* shifts; adc, sbb */
    return (code & 0xfc) != 0x80 || (reg(modrm) != 2 && reg(modrm) != 3);
}
