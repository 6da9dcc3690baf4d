"""Who is who: identity ↔ name, REST and Raft address.

Who belongs is replicated state: rows ``\\x00member/<identity>`` in the key-value store. Until this node has caught up
with them it goes by gossip, and by *hints*, what it knew when it last ran (``members.json``), because without addresses
no voter could be asked for the rows. Law: where a member is, gossip that has it alive knows best, then its row, then a
hint; who is a member, the rows alone say once they are known to be complete.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from dkv.addresses import parse_address
from dkv.errors import BadRequest, LeaderHint
from dkv.files import OS_FILES, Files, replace_file
from dkv.joining import MemberInfo
from dkv.kv.commands import SYSTEM_PREFIX, Row
from dkv.raft.configuration import NODE_ID

log = logging.getLogger(__name__)

KEY_PREFIX = SYSTEM_PREFIX + "member/"


def key_of(identity: str) -> str:
    """The directory row's key."""
    return KEY_PREFIX + identity


def encode(member: MemberInfo) -> str:
    """The directory row's value (JSON)."""
    return msgspec.json.encode(member).decode()


def members_in(rows: Mapping[str, Row]) -> list[MemberInfo]:
    """System rows → the members among them."""
    return [
        msgspec.json.decode(row.value, type=MemberInfo)
        for key, row in sorted(rows.items())
        if key.startswith(KEY_PREFIX)
    ]


class Directory:
    """The members as this node knows them, itself included."""

    def __init__(self, me: MemberInfo, hints: Iterable[MemberInfo] = ()) -> None:
        self.me = me
        self._hints = {member.identity: member for member in hints}
        self._heard: dict[str, MemberInfo] = {}
        self._rows: dict[str, MemberInfo] = {}
        self._leaders: dict[str, LeaderHint] = {}
        self._complete = False

    def follow(self, members: Iterable[MemberInfo], *, complete: bool) -> None:
        """The directory rows as applied here. ``complete``: this node has caught up since it started."""
        self._rows = {member.identity: member for member in members}
        self._complete = self._complete or complete
        self._leaders.clear()

    def hear(self, alive: Iterable[MemberInfo]) -> bool:
        """Whom gossip has alive, of this cluster. Whether that is news."""
        heard = {member.identity: member for member in alive if member.identity != self.me.identity}
        if heard == self._heard:
            return False
        self._heard = heard
        self._hints |= heard  # where they are when gossip has lost them again
        self._leaders.clear()
        return True

    def members(self) -> list[MemberInfo]:
        """All that are known, by identity."""
        known = self._rows if self._complete else {**self._hints, **self._heard, **self._rows}
        return [self._heard.get(identity, known[identity]) for identity in sorted(known)]

    def row(self, identity: str) -> MemberInfo | None:
        """What is replicated about ``identity``."""
        return self._rows.get(identity)

    def find(self, identity: str) -> MemberInfo | None:
        if identity == self.me.identity:
            return self.me
        row = self._rows.get(identity)
        if row is None and self._complete:
            return None
        return self._heard.get(identity) or row or self._hints.get(identity)

    def named(self, name: str) -> list[MemberInfo]:
        """Whoever has that name: more than one while a wiped node's former identity is still there."""
        return [member for member in self.members() if member.name == name]

    def hint(self, identity: str | None) -> LeaderHint | None:
        """Where to send a client that needs ``identity``. Asked for each reply, hence remembered."""
        if identity is None:
            return None
        hint = self._leaders.get(identity)
        if hint is None and (member := self.find(identity)) is not None:
            hint = self._leaders[identity] = LeaderHint(member.name, member.rest)
        return hint


def name_in(identity: str) -> str:
    """``n1.3f9a2c1b`` → ``n1``."""
    return identity.rpartition(".")[0] or identity


def checked(member: MemberInfo) -> MemberInfo:
    """``member``, if it can stand in the directory as it is. Raises ``BadRequest``."""
    if not NODE_ID.fullmatch(member.identity) or name_in(member.identity) != member.name:
        raise BadRequest(
            f"{member.identity!r} is no identity of {member.name!r}: expected NAME.INCARNATION, the name of 1 to 64 "
            "letters, digits, '_' or '-' and the incarnation of 8 hexadecimal digits."
        )
    for address in (member.rest, member.raft):
        try:
            if not parse_address(address).port:
                raise BadRequest(f"{address!r} has port 0: others could not dial it.")
        except ValueError as error:
            raise BadRequest(str(error)) from None
    return member


def load_hints(path: Path) -> list[MemberInfo]:
    """What ``save_hints`` wrote; nothing if there is no such file, or an unreadable one: they are hints."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[MemberInfo])
    except (OSError, msgspec.DecodeError):
        return []


class HintsFile:
    """``members.json``, written in the background; of members that follow each other fast only the last are written."""

    def __init__(
        self,
        path: Path,
        background: Callable[[Callable[[], None], Callable[[object], None]], None],
        *,
        files: Files = OS_FILES,
    ) -> None:
        """``background``: see ``dkv.raft.host.Host``."""
        self._path, self._background, self._files = path, background, files
        self._next: list[MemberInfo] | None = None
        self._writing = False

    def remember(self, members: list[MemberInfo]) -> None:
        if not members:
            return  # a founder that has not written its own row yet: what the file says of it must survive a stop now
        self._next = members
        if not self._writing:
            self._write()

    def _write(self) -> None:
        members, self._next = self._next or [], None
        self._writing = True
        self._background(lambda: save_hints(self._path, members, self._files), self._written)

    def _written(self, outcome: object) -> None:
        self._writing = False
        if isinstance(outcome, OSError):
            log.warning("%s could not be written, which matters little: %s", self._path, outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        if self._next is not None:
            self._write()


def save_hints(path: Path, members: Iterable[MemberInfo], files: Files = OS_FILES) -> None:
    """Replace the file in one step, durable on return. Raises ``OSError``."""
    replace_file(files, path, msgspec.json.format(msgspec.json.encode(list(members)), indent=1))
