"""The state machine as one would write it without a thought for speed: what ``KeyValue`` must agree with."""

from __future__ import annotations

from dataclasses import dataclass, field

from dkv.kv.commands import ANY_REVISION, Batch, Code, Command, Op, Result, Row


@dataclass
class Twin:
    """Rows in a plain dict, removed as soon as they expire; answered ids in a list of groups."""

    ids_max: int
    id_age_ms_max: int
    group_ids_max: int
    aged_groups_max: int
    clock_ms: int = 0
    rows: dict[str, Row] = field(default_factory=dict)
    groups: list[tuple[int, dict[str, tuple[object, Result]]]] = field(default_factory=list)

    def apply(self, index: int, batch: Batch) -> list[Result]:
        self.clock_ms = max(self.clock_ms, batch.time_ms)
        self.rows = {key: row for key, row in self.rows.items() if not row.expires_ms or row.expires_ms > self.clock_ms}
        fresh: dict[str, tuple[object, Result]] = {}
        results = [self._once(index, command, fresh) for command in batch.commands]
        items = list(fresh.items())
        for start in range(0, len(items), self.group_ids_max):
            self.groups.append((self.clock_ms, dict(items[start : start + self.group_ids_max])))
        self._forget()
        return results

    @property
    def ids(self) -> dict[str, tuple[object, Result]]:
        return {id: answer for _, group in self.groups for id, answer in group.items()}

    def _forget(self) -> None:
        while len(self.ids) > self.ids_max:
            del self.groups[0]
        for _ in range(self.aged_groups_max):
            if self.groups and self.groups[0][0] + self.id_age_ms_max <= self.clock_ms:
                del self.groups[0]

    def _once(self, index: int, command: Command, fresh: dict[str, tuple[object, Result]]) -> Result:
        if not command.id or command.op not in (Op.SET, Op.DELETE):
            return self._execute(index, command)
        what = (command.op, command.key, command.value, command.cas, command.ttl_ms)
        known = {**self.ids, **fresh}.get(command.id)
        if known is None:
            fresh[command.id] = (what, self._execute(index, command))
            return fresh[command.id][1]
        return known[1] if known[0] == what else Result(Code.ID_REUSED, 0, False)

    def _execute(self, index: int, command: Command) -> Result:
        row = self.rows.get(command.key)
        revision = row.revision if row else 0
        if command.op is Op.CLOCK:
            return Result(Code.OK, 0, False)
        if command.op is Op.GET:
            return Result(Code.OK, revision, True, row.value) if row else Result(Code.NOT_FOUND, 0, False)
        if command.cas not in (ANY_REVISION, revision):
            return Result(Code.CAS_MISMATCH, revision, row is not None)
        if command.op is Op.SET:
            expires_ms = self.clock_ms + command.ttl_ms if command.ttl_ms else 0
            self.rows[command.key] = Row(command.value, index, expires_ms)
            return Result(Code.OK, index, row is not None)
        if row is None:
            return Result(Code.NOT_FOUND, 0, False)
        del self.rows[command.key]
        return Result(Code.OK, index, True)
