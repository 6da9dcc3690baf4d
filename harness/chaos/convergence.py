"""Gossip comes to one view once everything is healed: who is there is alive to all, and who is gone to nobody. Pure.

Each node's view counts by itself, nothing is averaged. A node whose process runs but that says nothing, or was let go,
is not asked, and may be seen in any way: ``progress`` and the assumptions tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.history.records import Check, NodeSample, Validity

NAME = "gossip converges"
ALIVE, GONE = "alive", ("left", "failed")
OUTSIDERS = ("", "removed")
"""Roles of nodes that are no members just now: they say nothing, or that they were let go."""
SHOWN_MAX = 3

Views = Mapping[str, Mapping[str, str]]
"""Who sees → whom → status."""


def differences(samples: Sequence[NodeSample], views: Views) -> list[str]:
    """Where a view is not what it should be, in words. ``samples``: of the same moment."""
    running = {sample.node for sample in samples if sample.process != "dead"}
    present = [sample.node for sample in samples if sample.node in running and sample.role not in OUTSIDERS]
    found = []
    for seer in present:
        view = views.get(seer)
        if view is None:
            found.append(f"{seer} does not tell whom it sees")
            continue
        found += [_missed(seer, name, view) for name in present if view.get(name) != ALIVE]
        ghosts = [name for name, status in view.items() if status not in GONE and name not in running]
        found += [f"{seer} sees {name}, which is gone, as {view[name]}" for name in ghosts]
    return found


def _missed(seer: str, name: str, view: Mapping[str, str]) -> str:
    return f"{seer} sees {name} as {view[name]}" if name in view else f"{seer} knows nothing of {name}"


def convergence(found: Sequence[str], after_s: float, bound_s: float) -> Check:
    """``found``: the last differences, ``after_s`` after everything was healed."""
    if not found:
        return Check(name=NAME, validity=Validity.VALID, detail={"after_s": round(after_s, 1)})
    more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
    sentence = f"{bound_s:g} s after everything was healed {', '.join(found[:SHOWN_MAX])}{more}"
    return Check(name=NAME, validity=Validity.INVALID, sentence=sentence, detail={"all": list(found)})


def not_applicable(system: str) -> Check:
    """Of a system whose nodes do not gossip."""
    return Check(name=NAME, validity=Validity.VALID, detail={"not applicable": f"{system} has no gossip"})
