"""Verbs that change who is in the cluster, and who leads it: by HTTP to the nodes, as any operator would do it."""

from __future__ import annotations

from typing import Any

from harness.cluster import Cluster
from harness.control import ask
from harness.errors import Refused, Undecided
from harness.exchange import Reply, Unanswered, exchange
from harness.gossip import described
from harness.roster import HERE, Place
from harness.survey import Member, Survey

CHANGE_S = 30.0
"""For a change of members: a joiner catches up first (a snapshot, perhaps), a leader that leaves hands over first."""

NO_MEMBER = 404
"""Removed by the autopilot, perhaps: its process, and its place in the run directory, are still to be removed."""


def add(cluster: Cluster, place: Place = HERE, timeout_s: float = CHANGE_S) -> list[str]:
    """Start a node of the next name and wait until it votes."""
    name: str = ask(cluster.run_dir, "add", host=place.host, entry=place.entry)["name"]
    cluster.say(f"waiting until {name} is a voter")
    survey = cluster.wait(lambda s: _votes(s, name), timeout_s, f"{name} to become a voter", [name])
    member = survey.member(name)
    return [f"added {name} (pid {member.pid}, http://{member.rest}): {len(survey.voters)} voters now"]


def leave(cluster: Cluster, selector: str, timeout_s: float = CHANGE_S) -> list[str]:
    """Ask one node to leave; wait until its process has ended by itself; forget it."""
    member = _one(cluster, selector)
    reply = _call(member, "POST", "/leave", timeout_s=timeout_s)
    if reply is not None and reply.status >= 300:
        raise Refused(f"{member.name} does not leave: {reply.error}")
    cluster.say(f"waiting until {member.name} has left")
    cluster.wait(lambda s: s.member(member.name).pid is None, timeout_s, f"{member.name} to leave and end")
    ended = cluster.survey().member(member.name)
    if ended.exit_code != 0:
        cluster.raise_if_dead(cluster.survey(), [member.name])
    seen = described(cluster.survey(detailed=True).member(member.name).gossip)
    ask(cluster.run_dir, "drop", name=member.name)
    gossip = f" (gossip has it as {seen})" if seen else ""
    return [f"{member.name} left and ended by itself{gossip}; its files stay until `clean`"]


def remove(cluster: Cluster, name: str, timeout_s: float = CHANGE_S) -> list[str]:
    """Have the leader take a node out, dead or alive; then stop its process and forget it. One that is no member any
    more, because an earlier removal was done though nobody heard of it, is stopped and forgotten."""
    survey = cluster.survey()
    gone, leader = survey.member(_known(survey, name)), _leader(survey)
    reply = _call(leader, "DELETE", f"/nodes/{name}", timeout_s=timeout_s)
    if reply is not None and reply.status >= 300 and reply.status != NO_MEMBER:
        raise Refused(f"{leader.name} does not remove {name}: {reply.error}")
    cluster.say(f"waiting until {name} is no voter any more")
    cluster.wait(lambda s: s.leader is not None and not _votes(s, name), timeout_s, f"{name} to be removed")
    told = cluster.stop(name) if cluster.survey().member(gone.name).pid is not None else []
    ask(cluster.run_dir, "drop", name=name)
    done = f"removed {name} from the cluster"
    if reply is not None and reply.status == NO_MEMBER:
        done = f"{name} was no member any more"
    return [done, *told, f"the files of {name} stay until `clean`"]


def transfer(cluster: Cluster, name: str | None, timeout_s: float = CHANGE_S) -> list[str]:
    """Hand the leadership to ``name``, or to the follower that has applied most."""
    survey = cluster.survey()
    leader = _leader(survey)
    target = survey.member(_known(survey, name)) if name else _best_follower(survey, leader)
    if target.name == leader.name:
        return [f"{leader.name} leads already"]
    reply = _call(leader, "POST", "/leader", {"target": target.name}, timeout_s=timeout_s)
    if reply is not None and reply.status >= 300:
        raise Refused(f"{leader.name} does not hand over: {reply.error}")
    cluster.say(f"waiting until {target.name} leads")
    after = cluster.wait(
        lambda s: s.leader is not None and s.leader.name == target.name, timeout_s, f"{target.name} to lead"
    )
    return [f"{leader.name} handed the leadership to {target.name} (term {survey.term} → {after.term})"]


def _votes(survey: Survey, name: str) -> bool:
    return survey.leader is not None and name in survey.voters


def _one(cluster: Cluster, selector: str) -> Member:
    chosen = cluster.choose(selector, lambda member: member.word is not None, cluster.survey())
    if len(chosen) != 1:
        raise Refused(f"one node at a time: {selector!r} selects {len(chosen)}")
    if chosen[0].pid is None:
        raise Refused(f"{chosen[0].name} does not run, so it cannot leave by itself: `dkv-harness remove` takes it out")
    return chosen[0]


def _known(survey: Survey, name: str) -> str:
    if name not in survey.names:
        raise Refused(f"no node is called {name}: there are {', '.join(survey.names)}")
    return name


def _leader(survey: Survey) -> Member:
    if survey.leader is None:
        raise Refused("no leader is known just now, and only a leader can do that; `status` tells more")
    return survey.leader


def _best_follower(survey: Survey, leader: Member) -> Member:
    able = [(m.word.applied, m) for m in survey.members if m.word and m.name in survey.voters and m != leader]
    if not able:
        raise Refused("there is no other voter that could lead")
    return max(able, key=lambda pair: pair[0])[1]


def _call(member: Member, method: str, path: str, body: Any = None, *, timeout_s: float) -> Reply | None:
    """The node's reply; None if it was cut off after sending (a node that leaves may end first): look what happened."""
    try:
        reply = exchange(member.rest, method, path, body, timeout_s=timeout_s)
    except Unanswered as error:
        if error.sent:
            return None
        raise Refused(f"{member.name} cannot be reached: {error}") from error
    if reply.status == 504:
        raise Undecided(f"{member.name}: {reply.error}")
    return reply
