"""The rules of one node's links, and what obeys them, under a virtual clock."""

import asyncio
import random

import pytest

from dkv.errors import BadRequest
from dkv.faults.links import BURIED_MAX, Direction, LinkFaults, name_in
from dkv.faults.pipe import Kind


class Hand:
    """A clock that the test moves; the loop's timers do not follow it."""

    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    def until(self, due):
        return max(0.0, due - self.time)


class Grave:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


def links():
    return LinkFaults(random.Random(0), Hand())


def test_rules_are_replaced_as_a_whole_and_shown_as_given():
    faults = links()
    faults.set({"n2": {"send": {"cut": True}, "receive": {"delay_s": 0.5}}, "n3": {}})
    assert faults.status() == {"n2": {"send": {"cut": True}, "receive": {"delay_s": 0.5}}, "n3": {}}
    assert (faults.is_cut("n2"), faults.is_cut("n3"), faults.is_cut("n4")) == (True, False, False)
    faults.set({"n3": {"receive": {"cut": True}}})
    assert (faults.is_cut("n2"), faults.is_cut("n3")) == (False, True)
    faults.heal()
    assert faults.status() == {}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"n2": {"sent": {}}}, "unknown field `sent`"),
        ({"n2": {"send": {"cut": "yes"}}}, "Expected `bool`"),
        ({"n2": {"send": {"loss": 1.5}}}, "<= 1.0"),
        ({"n2": {"send": {"delay_s": -1}}}, ">= 0"),
        ({"n2": {"send": {"rate_bytes_s": 0}}}, ">= 1.0"),
        ({"n2.3f9a2c1b": {}}, "no name of a node"),
        ({"n2": 5}, "Expected `object`"),
    ],
)
def test_what_is_no_rule_changes_nothing(document, sentence):
    faults = links()
    faults.set({"n2": {"send": {"cut": True}}})
    with pytest.raises(BadRequest, match=sentence):
        faults.set({"n4": {"send": {"cut": True}}, **document})
    assert faults.status() == {"n2": {"send": {"cut": True}}}


@pytest.mark.parametrize(("identity", "name"), [("n1.3f9a2c1b", "n1"), ("n1", "n1"), ("a-b_c.0", "a-b_c")])
def test_names(identity, name):
    assert name_in(identity) == name


@pytest.mark.asyncio
async def test_lanes_follow_the_rules_of_their_peer_and_direction():
    faults = links()
    out, back = faults.lane("n2", Direction.SEND), faults.lane("n2", Direction.RECEIVE)
    notes = []
    out.put(lambda: notes.append("direct"), 1, Kind.MESSAGE)
    assert notes == ["direct"]
    faults.set({"n2": {"send": {"cut": True}}})
    out.put(lambda: notes.append("held"), 7, Kind.MESSAGE)
    back.put(lambda: notes.append("back"), 1, Kind.MESSAGE)
    assert notes == ["direct", "back"]
    assert (out.is_cut, back.is_cut, out.is_straight, out.waiting_bytes) == (True, False, False, 7)
    faults.heal()
    assert notes == ["direct", "back", "held"]
    assert faults.effects() == {"n2": {"send held": 1}}
    faults.close_lane(out)
    faults.close_lane(back)
    assert faults.effects() == {"n2": {"send held": 1}}, "what was done is remembered when the link is gone"


@pytest.mark.asyncio
async def test_a_lane_lets_out_when_its_time_comes():
    faults = LinkFaults(random.Random(0))
    faults.set({"n2": {"send": {"delay_s": 0.02}}})
    lane, came = faults.lane("n2", Direction.SEND), asyncio.Event()
    lane.put(came.set, 1, Kind.MESSAGE)
    assert not came.is_set()
    async with asyncio.timeout(30):
        await came.wait()
    lane.put(came.clear, 1, Kind.MESSAGE)
    faults.close_lane(lane)
    assert lane.waiting_bytes == 0


@pytest.mark.asyncio
async def test_passage_waits_for_both_directions():
    faults = links()
    await faults.passage("n2")
    faults.set({"n2": {"receive": {"cut": True}}})
    waiting = asyncio.ensure_future(faults.passage("n2"))
    await asyncio.sleep(0)
    faults.set({"n2": {"send": {"cut": True}}})
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.set({"n3": {"send": {"cut": True}}})
    await waiting


def test_who_watches_is_told_until_he_goes():
    faults = links()
    told = []

    def first():
        told.append("first")
        faults.unwatch(second)

    def second():
        told.append("second")

    faults.watch(first)
    faults.watch(second)
    faults.heal()
    assert told == ["first"]


def test_what_is_buried_is_closed_when_its_way_out_is_open_again():
    faults = links()
    faults.set({"n2": {"send": {"cut": True}}, "n3": {"send": {"cut": True}}})
    two, three = Grave(), Grave()
    faults.bury("n2", two)
    faults.bury("n3", three)
    faults.set({"n3": {"send": {"cut": True}}})
    assert (two.aborted, three.aborted) == (True, False)
    graves = [Grave() for _ in range(BURIED_MAX)]
    for grave in graves:
        faults.bury("n3", grave)
    assert three.aborted, "the oldest makes room"
    faults.close()
    assert all(grave.aborted for grave in graves)
    late = Grave()
    faults.bury("n3", late)
    assert late.aborted
