"""The system calls that a program in the sandbox may not make, as a filter for the kernel.

Namespaces hide the machine; this closes what is left of it. Without new processes, anonymous files, System V memory and
sockets but unix ones, whose buffers are small, the limit on one address space is a limit on the whole program. Vsock
would reach a virtual machine's host from any network namespace, and `io_setup` draws on a store that the whole machine
shares. Without new namespaces, keyrings, io_uring, bpf and the like, much of the kernel that has been broken out of
before is out of reach.
"""

import errno
import platform
import struct
from typing import Final, NamedTuple

# Name -> number, from the kernel's tables: x86-64 has its own, 64-bit ARM the generic ones; from 424 on they agree.
_RECENT: Final = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
_X86_64: Final = {
    "fork": 57,
    "vfork": 58,
    "ptrace": 101,
    "syslog": 103,
    "personality": 135,
    "modify_ldt": 154,
    "pivot_root": 155,
    "chroot": 161,
    "acct": 163,
    "io_setup": 206,
    "mount": 165,
    "umount2": 166,
    "quotactl": 179,
    "shmget": 29,
    "semget": 64,
    "msgget": 68,
    "mq_open": 240,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "inotify_init": 253,
    "unshare": 272,
    "inotify_init1": 294,
    "perf_event_open": 298,
    "fanotify_init": 300,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "memfd_create": 319,
    "bpf": 321,
    "userfaultfd": 323,
}
_AARCH64: Final = {
    "io_setup": 0,
    "inotify_init1": 26,
    "umount2": 39,
    "mount": 40,
    "pivot_root": 41,
    "chroot": 51,
    "quotactl": 60,
    "acct": 89,
    "personality": 92,
    "unshare": 97,
    "syslog": 116,
    "ptrace": 117,
    "mq_open": 180,
    "msgget": 186,
    "semget": 190,
    "shmget": 194,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "perf_event_open": 241,
    "fanotify_init": 262,
    "name_to_handle_at": 264,
    "open_by_handle_at": 265,
    "setns": 268,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "memfd_create": 279,
    "bpf": 280,
    "userfaultfd": 282,
}


class _Machine(NamedTuple):
    audit: int  # the architecture's name in the kernel's own numbering
    clone: int
    socket: int
    denied: dict[str, int]


_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, clone=56, socket=41, denied=_X86_64),
    "aarch64": _Machine(0xC00000B7, clone=220, socket=198, denied=_AARCH64),
}
_CLONE3: Final = 435

# Where struct seccomp_data keeps the call's number, the architecture and the low half of the first argument.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x00010000
_X32_CALLS = 0x40000000
# Unix, which asyncio needs; a connection over a loopback would hold 10 megabytes of the kernel's.
_FAMILIES: Final = (1,)


def supported() -> bool:
    """Whether the filter knows this machine's system calls."""
    return platform.machine() in _MACHINES


def program() -> bytes:
    """Return the filter as `struct sock_filter[]`, the form that `bwrap --seccomp` reads."""
    machine = _MACHINES[platform.machine()]
    denied = {**machine.denied, **_RECENT}
    filters = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, machine.audit, then=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if platform.machine() == "x86_64":
        filters += [_step(_AT_LEAST, _X32_CALLS, otherwise=1), _step(_RETURN, _KILL)]
    for number in sorted(denied.values()):
        filters += [_step(_EQUAL, number, otherwise=1), _step(_RETURN, _FAIL | errno.EPERM)]
    # "No such call" makes the C library start its threads with clone, whose flags can be looked at.
    filters += [_step(_EQUAL, _CLONE3, otherwise=1), _step(_RETURN, _FAIL | errno.ENOSYS)]
    filters += [
        _step(_EQUAL, machine.clone, otherwise=4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _CLONE_THREAD, then=1),
        _step(_RETURN, _FAIL | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    filters += [
        _step(_EQUAL, machine.socket, otherwise=len(_FAMILIES) + 2),
        _step(_LOAD, _FIRST_ARGUMENT),
        *(_step(_EQUAL, family, then=len(_FAMILIES) - place) for place, family in enumerate(_FAMILIES)),
        _step(_RETURN, _FAIL | errno.EAFNOSUPPORT),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join([*filters, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; a comparison skips `then` instructions where it holds and `otherwise` where it does not."""
    return struct.pack("=HBBI", code, then, otherwise, value)
