"""memberlist's arithmetic: retransmissions, intervals, suspicions, health. Numbers from the specification."""

from __future__ import annotations

import pytest

from dkv.gossip.memberlist.awareness import Awareness
from dkv.gossip.memberlist.profiles import LAN, LOCAL, PROFILES, WAN, Profile
from dkv.gossip.memberlist.suspicion import Suspicion, confirmations_wanted, suspicion_min_s


@pytest.mark.parametrize(
    ("profile", "members", "sends"),
    [(LAN, 1, 4), (LAN, 9, 4), (LAN, 10, 8), (LAN, 99, 8), (LAN, 100, 12), (LAN, 999, 12), (LOCAL, 3, 2)],
)
def test_a_broadcast_is_sent_so_often(profile: Profile, members: int, sends: int) -> None:
    assert profile.retransmit_limit(members) == sends


@pytest.mark.parametrize(
    ("members", "seconds"), [(1, 30), (32, 30), (33, 60), (64, 60), (65, 90), (128, 90), (1000, 180)]
)
def test_states_are_exchanged_less_often_in_large_clusters(members: int, seconds: float) -> None:
    assert LAN.scaled_push_pull_s(members) == seconds


@pytest.mark.parametrize(
    ("profile", "members", "seconds"),
    [(LAN, 0, 4.0), (LAN, 10, 4.0), (LAN, 30, 5.908), (LAN, 100, 8.0), (WAN, 5, 30.0), (LOCAL, 3, 3.0)],
)
def test_a_suspicion_lasts_at_least(profile: Profile, members: int, seconds: float) -> None:
    assert suspicion_min_s(profile, members) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("profile", "members", "wanted"),
    [(LAN, 2, 0), (LAN, 3, 0), (LAN, 4, 2), (LAN, 1000, 2), (LOCAL, 2, 0), (LOCAL, 3, 1), (WAN, 5, 0), (WAN, 6, 4)],
)
def test_confirmations_are_wanted_only_where_others_can_give_them(profile: Profile, members: int, wanted: int) -> None:
    assert confirmations_wanted(profile, members) == wanted


@pytest.mark.parametrize(
    ("profile", "members", "totals"),
    [(LAN, 5, [24.0, 11.381, 4.0]), (LOCAL, 3, [18.0, 3.0]), (LOCAL, 2, [3.0]), (LAN, 3, [4.0])],
)
def test_each_confirmation_shortens_it(profile: Profile, members: int, totals: list[float]) -> None:
    suspicion = Suspicion(profile, members, "first", now=100.0)
    assert suspicion.due == pytest.approx(100.0 + totals[0])
    assert not suspicion.confirm("first"), "the accuser confirmed himself"
    for number, total in enumerate(totals[1:]):
        assert suspicion.confirm(f"other{number}")
        assert not suspicion.confirm(f"other{number}"), "one accuser counts once"
        assert suspicion.due == pytest.approx(100.0 + total)
    assert not suspicion.confirm("one too many")


def test_health_has_bounds() -> None:
    awareness = Awareness(8)
    awareness.change(-1)
    assert (awareness.score, awareness.scale_s(1.0)) == (0, 1.0)
    awareness.change(3)
    assert awareness.scale_s(0.5) == 2.0
    awareness.change(99)
    assert (awareness.score, awareness.scale_s(1.0)) == (7, 8.0)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_probe_has_time_for_the_others(profile: Profile) -> None:
    assert profile.probe_timeout_s < profile.probe_interval_s
    assert profile.gossip_interval_s <= profile.probe_interval_s
