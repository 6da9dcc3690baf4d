"""The network namespace in which a whole run takes place: whether one can be had here, and how to get into it.

A user namespace goes around it unless we are root, so that nobody needs to be; nothing of the machine's own network is
touched either way. Files, processes and unix sockets are the same inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from harness.errors import Refused
from harness.systems import namespaces, nft

TOOL_S = 10.0
"""For one ``ip`` or ``nft``, which takes 10 ms."""
FORWARD = "/proc/sys/net/ipv4/ip_forward"
_OUTSIDE = "DKV_HARNESS_OUTSIDE"
"""In the environment inside: the number of the namespace that we came from."""
_TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "nft": "nftables"}
"""Program → the Debian package that has it."""
_PATH = os.defpath + ":/usr/sbin:/sbin"
"""Where they are, also for users whose PATH has no administrator's commands."""
_TRIAL = f"""
set -e
ip link set lo up
ip link add trial0 type veth peer name trial1
echo 1 > {FORWARD}
nft -f - <<END
{nft.SETUP}
{nft.loss_script({("10.0.0.1", "10.0.0.2"): 0.5})}
END
unshare -n true
"""
"""Everything that the kernel's network will need."""


def available() -> str | None:
    """None if it works on this machine, else why not and what would help. Tried, not guessed: takes 0.1 s."""
    if sys.platform != "linux":
        return "the kernel's network needs Linux"
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=_PATH) is None:
            return f"{tool} is not installed (Debian: {package})"
    reasons = [_try(flags) for flags in _ways_in()]
    if None in reasons:
        return None
    return (
        f"a network namespace cannot be made: {reasons[-1]} (as root it works in most places; on Ubuntu also after "
        "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`)"
    )


def enter_namespace(command: Sequence[str]) -> NoReturn:
    """Become ``command`` (a whole command line) in a fresh namespace. Raises Refused where it is not ``available``."""
    if (reason := available()) is not None:
        raise Refused(reason)
    flags = next(flags for flags in _ways_in() if _try(flags) is None)
    environ = {**os.environ, _OUTSIDE: str(namespaces.own_number())}
    os.execve(tool("unshare"), ["unshare", *flags, "--", *command], environ)


def is_inside() -> bool:
    """Whether this process came through ``enter_namespace``: only then may it change what its network does."""
    return os.environ.get(_OUTSIDE, "") not in ("", str(namespaces.own_number()))


def tool(name: str) -> str:
    """Where the program is. Raises Refused."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise Refused(f"{name} is not installed (Debian: {_TOOLS[name]})")
    return path


def run(*command: str, script: str) -> None:
    """Run a program on ``script``, its input. Raises Refused with what it said."""
    done = subprocess.run(
        [tool(command[0]), *command[1:]], input=script, capture_output=True, text=True, timeout=TOOL_S, check=False
    )
    if done.returncode != 0:
        raise Refused(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _ways_in() -> list[list[str]]:
    """Root's own way first: inside a user namespace files of other users are nobody's."""
    return [["-n"], ["-rn"]] if os.geteuid() == 0 else [["-rn"]]


def _try(flags: Sequence[str]) -> str | None:
    command = [tool("unshare"), *flags, "sh", "-c", _TRIAL]
    environ = {**os.environ, "PATH": _PATH}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, env=environ, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no reason given"])[-1]
