"""libsepol, SELinux's policy engine in user space, where it is installed: it compiles a policy of
type enforcement, and `sepol_compute_av` is asked whether a client may call a server."""

from __future__ import annotations

import ctypes
import ctypes.util
import tempfile
from collections.abc import Callable
from ctypes import byref, c_int, c_size_t, c_uint16, c_uint32, c_void_p

from kss.errors import KssError

_POLICY = b"""\
(class act (call)) (classorder (act))
(sid kernel) (sidorder (kernel))
(sensitivity s0) (sensitivityorder (s0))
(user u) (role r) (type client) (type server)
(userrole u r) (roletype r client) (roletype r server)
(userlevel u (s0)) (userrange u ((s0) (s0)))
(sidcontext kernel (u r server ((s0) (s0))))
(allow client server (act (call)))
"""
_VERSION = 30  # of binary policies
_ERRORS_ONLY = 1  # of cil_set_log_level
_DECISION = c_uint32 * 8  # struct sepol_av_decision, and to spare


def name() -> str | None:
    """What the library is called, None if it is not installed."""
    return ctypes.util.find_library("sepol")


class Sepol:
    """The policy loaded, into the one place that libsepol has for it. Raises KssError."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)
        self._load(self._compiled())
        self._sids = [self._sid(f"u:r:{each}".encode()) for each in ("client", "server")]
        self._class, self._call = c_uint16(), c_uint32()
        self._ask("sepol_string_to_security_class", b"act", byref(self._class))
        self._ask("sepol_string_to_av_perm", self._class, b"call", byref(self._call))

    def allows(self, forth: bool = True) -> bool:
        """Whether the client may call the server; with `forth` False, the other way round."""
        asked = self._question(forth)
        self._ask("sepol_compute_av", *asked)
        return bool(asked[-1][0] & self._call.value)

    def time(self, loop: Callable[..., float], repeats: int) -> float:
        """Nanoseconds of a decision in a loop in C."""
        function = ctypes.cast(self._library.sepol_compute_av, c_void_p)
        return loop(function, *self._question(True), c_uint32(repeats))

    def _question(
        self, forth: bool
    ) -> tuple[c_uint32, c_uint32, c_uint16, c_uint32, ctypes.Array[c_uint32]]:
        source, target = self._sids if forth else self._sids[::-1]
        return source, target, self._class, self._call, _DECISION()

    def _ask(self, function: str, *arguments: object) -> None:
        called = getattr(self._library, function, None)
        if called is None:
            raise KssError(f"this libsepol has no {function}")
        called.restype = c_int
        if called(*arguments):
            raise KssError(f"{function} of libsepol failed")

    def _compiled(self) -> bytes:
        """The policy as libsepol reads it."""
        library, cil, policy = self._library, c_void_p(), c_void_p()
        image, size = c_void_p(), c_size_t()
        library.cil_set_log_level(_ERRORS_ONLY)
        library.cil_db_init(byref(cil))
        library.cil_set_policy_version(cil, _VERSION)
        self._ask("cil_add_file", cil, b"bench", _POLICY, c_size_t(len(_POLICY)))
        self._ask("cil_compile", cil)
        self._ask("cil_build_policydb", cil, byref(policy))
        library.cil_db_destroy(byref(cil))
        self._ask("sepol_policydb_to_image", None, policy, byref(image), byref(size))
        return ctypes.string_at(image, size.value)

    def _load(self, image: bytes) -> None:
        libc = ctypes.CDLL(None)
        libc.fopen.restype = c_void_p
        with tempfile.NamedTemporaryFile() as file:
            file.write(image)
            file.flush()
            stream = c_void_p(libc.fopen(file.name.encode(), b"rb"))
            self._ask("sepol_set_policydb_from_file", stream)
            libc.fclose(stream)

    def _sid(self, context: bytes) -> c_uint32:
        found = c_uint32()
        self._ask("sepol_context_to_sid", context, c_size_t(len(context)), byref(found))
        return found
