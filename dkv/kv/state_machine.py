"""The replicated state machine: keys, answered ids and a clock, changed by nothing but log entries.

Law: the same entries give the same results and the same ``digest`` on every node, by whatever path a node
came there (all entries applied, or a snapshot loaded and the rest applied). It implements
``dkv.raft.contracts.StateMachine``.

Time is the greatest ``time_ms`` of any entry. A key is gone for every command and read from the instant at
which that clock reaches its ``expires_ms``; its row is removed a little later, at the beginning of a
following entry, up to ``SWEEP_ROWS_MAX`` of them each, in an order that the state alone decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dkv.errors import FatalError
from dkv.kv import blocks
from dkv.kv.answered import Answer, AnsweredIds
from dkv.kv.blocks import BadBlocks
from dkv.kv.commands import (
    ANY_REVISION,
    UNREADABLE,
    BadBatch,
    Code,
    Command,
    Op,
    Result,
    Row,
    decode_batch,
    fingerprint,
)
from dkv.kv.digest import DIGEST_BYTES, digest_hex, hash_part, number
from dkv.kv.rows import MERGE_STEP, Rows, hash_row

SWEEP_ROWS_MAX = 1000
"""Two to three milliseconds."""

PREPARE_STEP = 2000
"""Changes merged in a turn when a checkpoint is due: some two milliseconds."""

RETIRE_STEP = 2000
"""Rows or ids; well below a millisecond."""

_SET, _GET = Op.SET, Op.GET
_OK, _NOT_FOUND, _CAS_MISMATCH, _ID_REUSED = Code.OK, Code.NOT_FOUND, Code.CAS_MISMATCH, Code.ID_REUSED


class KeyValue:
    """Not for threads: ``apply``, reads and the steps of a snapshot belong to one loop."""

    __slots__ = ("_answered", "_freezing", "_rows", "_set_results", "applied_index", "clock_ms")

    def __init__(self) -> None:
        self.applied_index = 0
        """The last entry that ``apply`` saw, 0 for none."""
        self.clock_ms = 0
        self._rows = Rows()
        self._answered = AnsweredIds()
        self._freezing = False
        self._set_results = (Result(_OK, 0, False), Result(_OK, 0, True))
        """What every set of the entry that is being applied answers, by whether its key had a value."""

    # Writing

    def apply(self, index: int, payload: bytes) -> list[Result]:
        """The entry at ``index``, a batch → a result for each of its commands.

        Raises ``FatalError`` for a payload that is no batch: it was one when it was proposed.
        """
        assert index > self.applied_index, f"entry {index} comes after {self.applied_index} was applied"
        try:
            batch = decode_batch(payload)
        except BadBatch as error:
            raise FatalError(f"Log entry {index} holds no batch of commands ({error}): the log is corrupted.") from None
        self.applied_index = index
        if batch.time_ms > self.clock_ms:
            self.clock_ms = batch.time_ms
        self._rows.sweep(self.clock_ms, SWEEP_ROWS_MAX)
        self._rows.merge(MERGE_STEP + len(batch.commands))
        self._set_results = (Result(_OK, index, False), Result(_OK, index, True))
        put = self._set
        results = [
            put(command) if command.op is _SET and not command.id else self._execute(command)
            for command in batch.commands
        ]
        self._answered.close(index, self.clock_ms)
        return results

    def _execute(self, command: Command) -> Result:
        """Anything but a set without an id, which is what nearly all commands are."""
        if command.op is _GET:
            return self._get(command)
        if command.op is Op.CLOCK:
            return Result(_OK, 0, False)
        return self._execute_once(command) if command.id else self._delete(command)

    def _execute_once(self, command: Command) -> Result:
        what = fingerprint(command)
        answer = self._answered.find(command.id)
        if answer is None:
            result = self._set(command) if command.op is _SET else self._delete(command)
            self._answered.record(Answer(command.id, what, result))
            return result
        return answer.result if answer.fingerprint == what else Result(_ID_REUSED, 0, False)

    def _set(self, command: Command) -> Result:
        if command.cas != ANY_REVISION:
            row = self.get(command.key)
            revision = 0 if row is None else row.revision
            if command.cas != revision:
                return Result(_CAS_MISMATCH, revision, row is not None)
        clock_ms = self.clock_ms
        expires_ms = clock_ms + command.ttl_ms if command.ttl_ms else 0
        found = self._rows.put(command.key, command.value, self.applied_index, expires_ms, clock_ms)
        return self._set_results[found]

    def _delete(self, command: Command) -> Result:
        row = self.get(command.key)
        revision = 0 if row is None else row.revision
        if command.cas not in (ANY_REVISION, revision):
            return Result(_CAS_MISMATCH, revision, row is not None)
        if row is None:
            return Result(_NOT_FOUND, 0, False)
        self._rows.remove(command.key)
        return Result(_OK, self.applied_index, True)

    def _get(self, command: Command) -> Result:
        row = self.get(command.key)
        if row is None:
            return Result(_NOT_FOUND, 0, False)
        return Result(_OK, row.revision, True, row.value)

    # Reading

    def get(self, key: str) -> Row | None:
        """None: no such key, or expired."""
        row = self._rows.get(key)
        if row is None or (row.expires_ms and row.expires_ms <= self.clock_ms):
            return None
        return row

    @property
    def count(self) -> int:
        """Keys of users, with those that expired and were not removed yet."""
        return self._rows.count

    @property
    def ids_count(self) -> int:
        """Answered ids that are remembered."""
        return len(self._answered)

    @property
    def size_bytes(self) -> int:
        """Of all keys and rows, encoded: what a checkpoint takes, but for the answered ids. Memory is about
        twice it.
        """
        return self._rows.size_bytes

    @property
    def system(self) -> Mapping[str, Row]:
        """dkv's own keys (``SYSTEM_PREFIX``), as of now."""
        return self._rows.system

    def next_expiry_ms(self) -> int | None:
        """When rows will be due for removal by an entry (a CLOCK if nothing else comes); None: nothing expires.

        Up to 64 ms after the first key's ``expires_ms``; in the past where one entry did not remove all.
        """
        return self._rows.expiries.next_ms()

    def digest(self) -> str:
        """32 hexadecimal digits of rows, answered ids and clock: equal at equal index, on every node."""
        return digest_hex(self._rows.digest + self._answered.digest + _hash_clock(self.clock_ms))

    def recompute_digest(self) -> str:
        """The same from the parts themselves, slowly."""
        rows = sum(number(hash_row(key, record[DIGEST_BYTES:])) for key, record in self._rows.records())
        groups = sum(hash_part(group) for group in self._answered.groups())
        return digest_hex(rows + groups + _hash_clock(self.clock_ms))

    # Snapshots

    def prepare(self) -> bool:
        """Merge some of what was written under the last snapshot; whether nothing of it is left.

        ``freeze`` would merge all of it at once: 0.7 s after 400,000 sets under a busy node's checkpoint.
        """
        self._rows.merge(PREPARE_STEP)
        return self._rows.is_merged

    def freeze(self) -> Iterator[bytes]:
        """The state as of this call, as blocks; ``apply`` may go on between two of them.

        One at a time: it ends when it is exhausted, closed or dropped. A block has at most ~64 KiB, or one row.
        """
        assert not self._freezing, "the state is being frozen already: exhaust or close that iterator first"
        frozen = self._frozen()
        next(frozen)  # up to the empty block: from here on its "finally" is certain to run
        return frozen

    def _frozen(self) -> Iterator[bytes]:
        rows = self._rows
        meta = blocks.Meta(blocks.FORMAT, self.applied_index, self.clock_ms)
        end = blocks.End(rows.count, len(rows.system), len(self._answered), self.digest())
        records, groups = rows.share(), self._answered.groups()
        self._freezing = True
        try:
            yield b""
            yield blocks.encode(meta)
            yield from blocks.rows_blocks(records)
            yield from blocks.ids_blocks(groups)
            yield blocks.encode(end)
        finally:
            rows.unshare()
            self._freezing = False

    @classmethod
    def load(cls, data: Iterator[bytes]) -> KeyValue:
        """Blocks of ``freeze`` → the state that was frozen, verified. Raises ``BadBlocks``."""
        machine = cls()
        meta = blocks.decode(next(data, b""))
        if not isinstance(meta, blocks.Meta) or meta.format != blocks.FORMAT:
            raise BadBlocks(f"The state does not begin as format {blocks.FORMAT} does, but with {meta!r:.100}.")
        machine.applied_index, machine.clock_ms = meta.index, meta.clock_ms
        for item in data:
            block = blocks.decode(item)
            if isinstance(block, blocks.RowsBlock):
                machine._restore_rows(block.records)
            elif isinstance(block, blocks.IdsBlock):
                machine._restore_ids(block.groups)
            elif isinstance(block, blocks.End):
                machine._verify(block)
                if next(data, None) is not None:
                    raise BadBlocks("The state goes on after its end.")
                return machine
            else:
                raise BadBlocks("The state begins a second time.")
        raise BadBlocks("The state ends before its last block.")

    def _restore_rows(self, records: dict[str, bytes]) -> None:
        try:
            self._rows.restore(records)
        except UNREADABLE as error:
            raise BadBlocks(f"A row cannot be read: {error}.") from None

    def _restore_ids(self, groups: list[bytes]) -> None:
        try:
            self._answered.restore(groups)
        except UNREADABLE as error:
            raise BadBlocks(f"A group of answered ids cannot be read: {error}.") from None

    def _verify(self, end: blocks.End) -> None:
        loaded = blocks.End(self.count, len(self.system), len(self._answered), self.digest())
        if loaded != end:
            raise BadBlocks(f"The blocks hold {loaded}; their end says {end}.")

    def retire(self) -> Iterator[None]:
        """Take the state apart, a little a step: to drop a large one at once would stall the loop."""
        yield from self._rows.retire(RETIRE_STEP)
        yield from self._answered.retire(RETIRE_STEP)


def _hash_clock(clock_ms: int) -> int:
    return hash_part(blocks.encode(clock_ms))
