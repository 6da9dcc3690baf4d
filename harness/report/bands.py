"""Bands: each fault from being set to being taken back, out of the records of its phases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.history.records import FaultRecord, Phase


@dataclass(frozen=True, slots=True)
class Band:
    """``began_s`` to ``set_s``: it was being set; ``healed_s``: it was taken back, None if never.

    ``fired``: whether a probe saw it work, False also if it could not be set; None if that cannot be seen.
    """

    fault: int
    kind: str
    began_s: float
    set_s: float
    healed_s: float | None
    nodes: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    fired: bool | None = None
    detail: str = ""


def bands(records: Iterable[FaultRecord]) -> tuple[Band, ...]:
    """In the order of their beginnings."""
    phases: dict[int, list[FaultRecord]] = {}
    for record in records:
        phases.setdefault(record.fault, []).append(record)
    return tuple(sorted((_band(of_one) for of_one in phases.values()), key=lambda band: (band.began_s, band.fault)))


def _band(records: Sequence[FaultRecord]) -> Band:
    first = next((record for record in records if record.phase is Phase.INJECT), records[0])
    heals = [record.ended_s for record in records if record.phase is Phase.HEAL and record.fired is not False]
    refused = first.phase is Phase.INJECT and first.fired is False
    told = [record.fired for record in records if record.phase is Phase.PROBE and record.fired is not None]
    return Band(
        fault=first.fault,
        kind=first.kind,
        began_s=first.began_s,
        set_s=first.ended_s,
        healed_s=max(heals) if heals else first.ended_s if refused else None,
        nodes=first.nodes,
        links=first.links,
        fired=False if refused else any(told) if told else None,
        detail="; ".join(dict.fromkeys(record.detail for record in records if record.detail)),
    )
