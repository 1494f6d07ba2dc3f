"""The words of the event stream; values are those of khs/core/event.h, config.h and kss.h."""

from __future__ import annotations

from enum import IntEnum


class Word(IntEnum):
    """A word of the kernel; `word` is how people see it: `memory-fault`."""

    @property
    def word(self) -> str:
        return self.name.lower().replace("_", "-")


class EventType(Word):
    """What a record tells."""

    BOOT = 1
    START = 2
    MODE = 3
    HYPERCALL = 4
    RESUME = 5
    VERDICT = 6
    FAULT = 7
    HEALTH = 8
    INTERRUPT = 9
    INPUT = 10
    CONSOLE = 11
    SCHEDULE = 12
    POLICY = 13
    STOP = 14
    WAIT = 15
    AUDIT = 16


class Mode(Word):
    """Partition modes (ARINC 653)."""

    IDLE = 0
    COLD_START = 1
    WARM_START = 2
    NORMAL = 3


class StartCondition(Word):
    """Why a partition started."""

    BOOT = 0
    PARTITION_RESTART = 1
    HM_RESTART = 2


class FaultKind(Word):
    """What a guest did wrong."""

    READ = 1
    WRITE = 2
    EXECUTE = 3
    UNDEFINED = 4
    PRIVILEGED = 5
    DIVIDE = 6
    BREAKPOINT = 7
    TRAP = 8
    ALIGNMENT = 9
    ISA = 10
    ENGINE = 11


class StopCause(Word):
    """Why the module stopped."""

    PRIVILEGED = 1
    HEALTH = 2
    BOOT_DENIED = 3


class HealthError(Word):
    """Error ids of the health monitor."""

    DEADLINE_MISSED = 0
    APPLICATION = 1
    NUMERIC = 2
    ILLEGAL_INSTRUCTION = 3
    MEMORY_FAULT = 4
    STACK_OVERFLOW = 5
    START_DENIED = 6
    INPUT_OVERFLOW = 7
    HARDWARE_FAULT = 8
    DEVICE_FAULT = 9


class HealthAction(Word):
    """What the health monitor did."""

    IGNORE = 0
    LOG = 1
    WARM_RESTART = 2
    COLD_RESTART = 3
    IDLE_PARTITION = 4
    MODULE_STOP = 5


class Level(Word):
    """Whom an error concerns."""

    PROCESS = 0
    PARTITION = 1
    MODULE = 2


class State(Word):
    """System state in which an error happened."""

    INITIALISING = 0
    RUNNING = 1


class CallResult(Word):
    """What a call did that an audit record lists: a rule's result, or an expression's value."""

    DENIED = 0
    GRANTED = 1
    FAILED = 2
    VALUE = 3


class PolicyRefusal(Word):
    """Why a policy swap left the old policy in force; values are those of enum khs_status."""

    IMAGE = 2
    CLASS = 3
    MEMORY = 4

    @property
    def reason(self) -> str:
        """The same in words."""
        return (
            "it is damaged or of another version",
            "it does not know every class of the system",
            "it needs more state than is reserved",
        )[self - PolicyRefusal.IMAGE]


class SecurityEvent(Word):
    """Kinds of security event."""

    EXECUTE = 0
    REQUEST = 1
    RESPONSE = 2
    ERROR = 3
    SECURITY = 4


class Reason(Word):
    """What a verdict rests on."""

    RULES = 0
    DEFAULT = 1
    ERROR = 2
    MALFORMED = 3
