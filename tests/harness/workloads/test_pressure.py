"""Writes that nobody waits for: so many, so large, each by a client of its own, whatever becomes of them."""

from __future__ import annotations

import pytest

from harness.systems.base import Client, NotApplied, Unknown, Version
from harness.workloads.pressure import APART_S, KEY, PATIENCE_S, press
from tests.harness.virtual_time import run


@pytest.mark.parametrize("end", [None, NotApplied("NO_LEADER"), Unknown("TIMEOUT")])
def test_so_many_of_so_many_bytes_are_sent_whatever_becomes_of_them(end: Exception | None) -> None:
    sent: list[tuple[str, str]] = []
    closed: list[float] = []

    class OneWrite:
        async def write(self, key: str, value: str) -> Version:
            sent.append((key, value))
            if end is not None:
                raise end
            return Version(value, 1)

        async def close(self) -> None:
            closed.append(APART_S)

    def client(patience_s: float) -> Client:
        assert patience_s == PATIENCE_S
        return OneWrite()  # type: ignore[return-value]

    run(press(client, 5, 1000))
    assert {key for key, _ in sent} == {KEY}
    assert [len(value) for _, value in sent] == [1000] * 5
    assert len({value for _, value in sent}) == 5
    assert len(closed) == 5
