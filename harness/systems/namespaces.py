"""Network namespaces of this process's making, by the two system calls that Python has no function for (3.12 has).

A namespace lives as long as somebody is in it or holds its descriptor. Law: a thread that entered another namespace
ends there; it is never lent to anybody else.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def new_network() -> int:
    """A descriptor of a fresh, empty network namespace. OSError where the kernel does not allow it."""

    def leave_for_a_new_one() -> int:
        _call("unshare", _CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _in_a_thread(leave_for_a_new_one)


def inside(network: int, function: Callable[[], T]) -> T:
    """What ``function`` returns or raises, called in that namespace: the sockets that it makes belong there."""

    def enter_and_call() -> T:
        _call("setns", network, _CLONE_NEWNET)
        return function()

    return _in_a_thread(enter_and_call)


def path_of(network: int) -> str:
    """Where other processes find it, while this one lives and keeps the descriptor open."""
    return f"/proc/{os.getpid()}/fd/{network}"


def own_number() -> int:
    """Which network namespace this process is in."""
    return os.stat("/proc/self/ns/net").st_ino


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _in_a_thread(function: Callable[[], T]) -> T:
    # A new one each time: it ends in another namespace than it began in.
    with ThreadPoolExecutor(1, thread_name_prefix="namespace") as thread:
        return thread.submit(function).result()
