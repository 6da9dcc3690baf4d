"""What a node that joins says, and what it is told: the bodies of ``POST /join``; and that it was told to join at all.

``rest`` and ``raft`` are ``host:port``; ``identity`` is ``name.incarnation`` (``n1.3f9a2c1b``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dkv.errors import StartupError
from dkv.files import Files, replace_file


class MemberInfo(msgspec.Struct, frozen=True):
    """One member as the directory has it."""

    identity: str
    name: str
    rest: str
    raft: str


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """May I come in? ``version`` is the joiner's version of dkv."""

    identity: str
    name: str
    rest: str
    raft: str
    version: str


class JoinAnswer(msgspec.Struct, frozen=True):
    """The cluster's id, its founder's identity, and the leader's where it is known."""

    cluster: str
    founder: str
    leader: str | None = None


def recall_targets(path: Path, targets: Sequence[str], files: Files) -> tuple[str, ...]:
    """Whom a newcomer may ask: ``targets`` of its ``--join``, else those of an earlier start with the same directory.

    Law: a directory that was begun by joining never founds a cluster, also if its node is started again without the
    flag before it was let in. Raises ``StartupError`` if that cannot be kept, or cannot be read.
    """
    try:
        if targets:
            replace_file(files, path, msgspec.json.encode(targets))
        elif path.exists():
            return tuple(msgspec.json.decode(path.read_bytes(), type=list[str]))
        return tuple(targets)
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartupError(
            f"{path} does not say whom to join: {error}. Delete it and name somebody in --join."
        ) from None
