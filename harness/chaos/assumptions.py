"""What must hold for a run to mean anything, judged apart from the verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.faults.fault import Fault
from harness.history.events import Event, EventType
from harness.history.records import Assumption, FaultRecord, NodeSample, Phase

RATE_SHARE_MIN = 0.2
"""Of the planned rate: below it the cluster was down most of the time, or too slow."""
SHOWN_MAX = 5


def fired(faults: Sequence[Fault], records: Iterable[FaultRecord], until_s: float) -> Assumption:
    """Each fault that was to be over by ``until_s`` was done and, where that can be seen, was seen to work."""
    words: dict[int, str] = {}
    for record in records:
        if record.phase is Phase.INJECT and record.fired is False:
            words[record.fault] = record.detail or "it was not done"
        elif record.phase is Phase.INJECT:
            words.setdefault(record.fault, "")
        elif record.phase is Phase.PROBE and record.fired is False:
            words[record.fault] = "it was done and had no effect that could be seen"
    due = [fault for fault in faults if fault.end_s <= until_s]
    idle = [(fault, words.get(fault.number, "it was not begun")) for fault in due]
    idle = [(fault, word) for fault, word in idle if word]
    told = "; ".join(f"{fault.kind} at {fault.start_s:g} s: {word}" for fault, word in idle[:SHOWN_MAX])
    more = f"; and {len(idle) - SHOWN_MAX} more" if len(idle) > SHOWN_MAX else ""
    sentence = f"{len(due) - len(idle)} of {len(due)} faults fired" + (f" ({told}{more})" if idle else "")
    return Assumption(name="faults fired", held=not idle, sentence=sentence)


def rate(planned: float, done: int, elapsed_s: float) -> Assumption:
    """``done``: operations of the plan that succeeded."""
    reached = done / elapsed_s if elapsed_s > 0 else 0.0
    sentence = f"{reached:.0f} operations a second succeeded, of {planned:.0f} planned"
    return Assumption(name="minimum rate", held=reached >= planned * RATE_SHARE_MIN, sentence=sentence)


def sequential(events: Iterable[Event]) -> Assumption:
    """Each process did one thing at a time, and nothing after an unknown outcome."""
    busy: set[int] = set()
    gone: set[int] = set()
    for event in events:
        process = event.process
        invokes = event.type is EventType.INVOKE
        if process in gone or invokes == (process in busy):
            sentence = f"process {process} did two things at once, or came back, at {event.time_s:.3f} s"
            return Assumption(name="clients sequential", held=False, sentence=sentence)
        (busy.add if invokes else busy.discard)(process)
        if event.type is EventType.INFO:
            gone.add(process)
    return Assumption(name="clients sequential", held=True, sentence="each client did one thing at a time")


def healthy(name: str, samples: Sequence[NodeSample]) -> Assumption:
    """Everybody answers, votes and follows one leader."""
    leaders = [sample.node for sample in samples if sample.role == "leader"]
    silent = [sample.node for sample in samples if not sample.role]
    everybody = {sample.node for sample in samples}
    strangers = [sample.node for sample in samples if sample.voters and not everybody <= set(sample.voters)]
    if len(leaders) == 1 and not silent and not strangers:
        return Assumption(name=name, held=True, sentence=f"{len(samples)} nodes, {leaders[0]} leads")
    wrong = [f"leaders: {', '.join(leaders) or 'none'}"] if len(leaders) != 1 else []
    wrong += [f"no answer from {', '.join(silent)}"] if silent else []
    wrong += [f"not all nodes vote by the word of {', '.join(strangers)}"] if strangers else []
    return Assumption(name=name, held=False, sentence="; ".join(wrong))


def empty(found: Sequence[str]) -> Assumption:
    """``found``: keys that were there before anything was written."""
    sentence = f"there already: {', '.join(found[:SHOWN_MAX])}" if found else "none of the keys was there"
    return Assumption(name="store empty at the start", held=not found, sentence=sentence)
