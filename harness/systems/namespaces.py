"""Network namespaces of this process's making, by the two system calls that Python has no function for (3.12 has).

A namespace lives as long as somebody is in it or holds its descriptor. Law: a thread that entered another namespace
ends there; it is never lent to anybody else.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
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
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)  # raised again below, by whoever asked

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
