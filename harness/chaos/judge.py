"""All checks together: the verdict, its sentence, its figures. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.history.events import EventType
from harness.history.records import Assumption, Check, FaultRecord, NodeSample, Phase, Validity, Verdict

PROGRESS, DIGESTS, CRASHES, WORK = "progress", "equal digests", "crashes", "something was acknowledged"
SHOWN_MAX = 3


def verdict(checks: Sequence[Check], assumptions: Sequence[Assumption], statistics: Mapping[str, Any]) -> Verdict:
    """Invalid if any check is; else unknown if any is; else valid. Assumptions are told, and change nothing."""
    for validity in (Validity.INVALID, Validity.UNKNOWN):
        found = [check for check in checks if check.validity is validity]
        if found:
            sentence = f"{found[0].name}: {found[0].sentence}" if found[0].sentence else found[0].name
            break
    else:
        validity, sentence = Validity.VALID, f"{len(checks)} checks found nothing wrong"
    failed = [assumption for assumption in assumptions if not assumption.held]
    if failed:
        sentence += " (" + "; ".join(f"{failure.name}: {failure.sentence}" for failure in failed) + ")"
    return Verdict(
        validity=validity,
        sentence=sentence,
        checks=tuple(checks),
        assumptions=tuple(assumptions),
        statistics=dict(statistics),
    )


def progress(first_write_s: float | None, unread: Mapping[str, Sequence[str]], bound_s: float) -> Check:
    """``first_write_s``: from healing to the first acknowledged write, None if there was none. ``unread``: node → keys
    that it could not read until the bound."""
    wrong = []
    if first_write_s is None:
        wrong.append(f"no write was acknowledged within {bound_s:g} s after everything was healed")
    for node, keys in unread.items():
        if keys:
            wrong.append(f"{node} could not read {_some(keys)} within {bound_s:g} s after everything was healed")
    return Check(
        name=PROGRESS,
        validity=Validity.INVALID if wrong else Validity.VALID,
        sentence="; ".join(wrong),
        detail={} if first_write_s is None else {"first_write_s": round(first_write_s, 3)},
    )


def equal_digests(last: Sequence[NodeSample], bound_s: float) -> Check | None:
    """The nodes' last samples, when nothing is written any more; None for a system that tells no digests."""
    told = [sample for sample in last if sample.digest]
    if not told:
        return None
    most = max(told, key=lambda sample: sample.applied)
    for sample in told:
        if sample.applied == most.applied and sample.digest != most.digest:
            return Check(
                name=DIGESTS,
                validity=Validity.INVALID,
                sentence=f"at index {most.applied} {most.node} and {sample.node} hold different data",
                time_s=sample.time_s,
            )
    behind = [sample.node for sample in last if sample.applied < most.applied or not sample.digest]
    if behind:
        sentence = f"{bound_s:g} s after the last write {_some(behind)} had not applied what {most.node} has"
        return Check(name=DIGESTS, validity=Validity.INVALID, sentence=sentence, time_s=most.time_s)
    return Check(name=DIGESTS, validity=Validity.VALID, detail={"index": most.applied, "nodes": len(told)})


def crashes(sentences: Sequence[str]) -> Check:
    """What the system says of ends and logs."""
    return Check(
        name=CRASHES,
        validity=Validity.INVALID if sentences else Validity.VALID,
        sentence="; ".join(sentences[:SHOWN_MAX]),
        detail={"all": list(sentences)} if sentences else {},
    )


def acknowledged(count: int) -> Check:
    """A history without a success shows nothing."""
    if count:
        return Check(name=WORK, validity=Validity.VALID, detail={"operations": count})
    return Check(name=WORK, validity=Validity.UNKNOWN, sentence="no operation succeeded, so nothing was tested")


def figures(
    counts: Mapping[EventType, int],
    latencies_s: Mapping[str, Sequence[float]],
    elapsed_s: float,
    records: Sequence[FaultRecord],
    terms: Sequence[int],
) -> dict[str, Any]:
    """What a person wants to see at the end. ``terms``: those that had a leader."""
    done = counts.get(EventType.OK, 0) + counts.get(EventType.FAIL, 0)
    return {
        "elapsed_s": round(elapsed_s, 2),
        "operations": counts.get(EventType.INVOKE, 0),
        "ok": counts.get(EventType.OK, 0),
        "fail": counts.get(EventType.FAIL, 0),
        "info": counts.get(EventType.INFO, 0),
        "operations_per_s": round(done / elapsed_s, 1) if elapsed_s > 0 else 0.0,
        "latency_ms": {f: _percentiles(values) for f, values in sorted(latencies_s.items())},
        "faults": dict(Counter(record.kind for record in records if record.phase is Phase.INJECT)),
        "leaders": len(terms),
        "last_term": max(terms, default=0),
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(place * len(ordered)))] * 1000, 2)
        for name, place in places.items()
    }


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
