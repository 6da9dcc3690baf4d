"""What a member remembers on disk: ``serf.snapshot`` (whom it knew, how late it was) and ``keyring.json``.

Lines are appended as things happen, by a thread of its own and without fsync: a killed process loses nothing, and whom
a power cut makes us forget the others tell us. A compacted snapshot, a keyring and our own leave are durable at once.
Law: a disk that fails costs memory, never membership; only a keyring that is there and cannot be read stops the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from dkv.errors import StartupError
from dkv.files import Files, Writable, replace_file
from dkv.gossip.serf.events import MemberEvent
from dkv.gossip.serf.snapshot_file import Clocks, SnapshotFile
from dkv.gossip.wire.encryption import Keyring, KeyringError, keyring_as_json, keyring_from_json

SNAPSHOT: Final = "serf.snapshot"
KEYRING: Final = "keyring.json"

FLUSH_S: Final = 0.5
"""Serf's flushInterval: what happens in between is written together."""

RETRY_S: Final = 30.0
"""After the disk failed the whole content is written anew, so late."""

READ_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of either file: what compaction leaves of 16,384 members is two; the rest of a larger one is not looked at."""


T = TypeVar("T")


class Memory:
    """``get_clocks``: the last Lamport times seen. ``complain`` gets a sentence when the disk fails."""

    def __init__(
        self, directory: Path, files: Files, get_clocks: Callable[[], Clocks], complain: Callable[[str], None]
    ) -> None:
        self._directory, self._files = directory, files
        self._get_clocks, self._complain = get_clocks, complain
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gossip-files")
        self._news = asyncio.Event()
        self._snapshot = SnapshotFile()
        self._lines: list[str] = []
        self._keyring: Keyring | None = None
        self._has_left = self._recalled = self._closed = False
        self._file: Writable | None = None
        self._size_bytes = 0

    # --- the past -----------------------------------------------------------------------------------------------------

    async def recall(self) -> tuple[SnapshotFile, Keyring | None]:
        """What the files say. Raises ``StartupError``."""
        text = await self._in_thread(lambda: self._read(SNAPSHOT))
        self._snapshot = SnapshotFile.replay(text or "")
        keys = await self._in_thread(lambda: self._read(KEYRING))
        try:
            keyring = None if keys is None else keyring_from_json(keys)
        except KeyringError as error:
            raise StartupError(f"{self._directory / KEYRING}: {error}") from None
        self._recalled = True
        return self._snapshot, keyring

    def _read(self, name: str) -> str | None:
        path = self._directory / name
        try:
            file = self._files.open(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StartupError(f"cannot read {path}: {error.strerror}") from error
        try:
            return file.read_at(0, READ_BYTES_MAX).decode(errors="replace")
        except OSError as error:
            raise StartupError(f"cannot read {path}: {error.strerror}") from error
        finally:
            file.close()

    # --- the present --------------------------------------------------------------------------------------------------

    def note(self, event: MemberEvent) -> None:
        """A member came, went, or has another address. Not after we left: nobody is to be rejoined then."""
        if not self._has_left:
            self._lines.append(self._snapshot.member(event))
            self._news.set()

    def note_time(self) -> None:
        """The clocks may have moved."""
        self._news.set()

    def note_leave(self) -> None:
        """We leave on purpose."""
        if not self._has_left:
            self._has_left = True
            self._lines.append(self._snapshot.leave())
            self._news.set()

    def note_keyring(self, keyring: Keyring) -> None:
        """The keys have changed."""
        self._keyring = keyring
        self._news.set()

    # --- the disk -----------------------------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Writes what is noted, for ever."""
        while True:
            await self._news.wait()
            await asyncio.sleep(FLUSH_S if await self.flush() else RETRY_S)

    async def flush(self) -> bool:
        """Writes what is noted. False: the disk failed."""
        self._news.clear()
        keyring, self._keyring = self._keyring, None
        if not self._has_left:
            self._lines.append(self._snapshot.clock(self._get_clocks()))
        data = "".join(self._lines).encode(errors="replace")
        self._lines.clear()
        anew = self._file is None or self._snapshot.is_due_for_compaction(self._size_bytes + len(data))
        if anew:
            data = (self._snapshot.compacted() + ("leave\n" if self._has_left else "")).encode(errors="replace")
        try:
            await self._in_thread(lambda: self._write(keyring, data, anew=anew))
        except OSError as error:
            self._keyring = self._keyring or keyring
            await self._in_thread(self._let_go)
            self._news.set()
            self._complain(f"cannot write to {self._directory}: {error.strerror}; a restart may need --join")
            return False
        return True

    async def close(self) -> None:
        """The last words, if there was a first; a second time nothing happens."""
        if not self._closed:
            self._closed = True
            if self._recalled:
                await self.flush()
                await self._in_thread(self._let_go)
            self._thread.shutdown(wait=False)

    def _write(self, keyring: Keyring | None, data: bytes, *, anew: bool) -> None:
        if keyring is not None:
            replace_file(self._files, self._directory / KEYRING, keyring_as_json(keyring).encode())
        if anew:
            self._let_go()
            self._file, self._size_bytes = self._begin_anew(data), len(data)
        elif data:
            assert self._file is not None, "appending to no file"
            self._file.write(data)
            self._size_bytes += len(data)
            if self._has_left:
                self._file.sync()

    def _begin_anew(self, data: bytes) -> Writable:
        """A snapshot that is durable, and open for more."""
        path, draft = self._directory / SNAPSHOT, self._directory / f"{SNAPSHOT}.compact"
        file = self._files.create(draft)
        try:
            file.write(data)
            file.sync()
            self._files.rename(draft, path)
            self._files.fsync_directory(self._directory)
        except OSError:
            file.close()
            raise
        return file

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        # Shielded: what was begun is ended, also when we stop meanwhile.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, call))
