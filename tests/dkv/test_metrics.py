"""Names, labels and buckets as CONTRACT §3 has them, and what a scrape costs."""

from __future__ import annotations

import pytest

from dkv.gossip.agent.figures import GossipFigures
from dkv.metrics import BUCKETS_S, Distribution, Figures, Metrics


def lines_of(metrics: Metrics) -> list[str]:
    body, content_type = metrics.expose("")
    assert content_type.startswith("text/plain")
    return body.decode().splitlines()


GOSSIP = GossipFigures(
    members={"alive": 5, "leaving": 0, "left": 1, "failed": 2},
    health_score=3,
    suspected=4,
    broadcasts_queued=6,
    packets_sent=7,
    packets_received=8,
    bytes_sent=9,
    bytes_received=10,
    streams_opened=11,
    streams_accepted=12,
    stream_bytes_sent=13,
    stream_bytes_received=14,
    send_failures=15,
    refused={"encryption": 16},
    suspicions=17,
    refutations=18,
    probe_failures=19,
)
FULL = Figures(True, True, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, {"n2": 12}, GOSSIP)


@pytest.mark.parametrize(
    "line",
    [
        "dkv_server_has_leader 1.0",
        "dkv_server_is_leader 1.0",
        "dkv_server_leader_changes_seen_total 2.0",
        "dkv_server_proposals_committed_total 3.0",
        "dkv_server_proposals_applied_total 4.0",
        "dkv_server_proposals_failed_total 5.0",
        "dkv_server_proposals_pending 6.0",
        "dkv_raft_term 7.0",
        "dkv_raft_commit_index 8.0",
        "dkv_raft_applied_index 9.0",
        "dkv_raft_log_entries 10.0",
        "dkv_kv_keys 11.0",
        'dkv_raft_peer_match_index{peer="n2"} 12.0',
        "dkv_http_requests_in_flight 3.0",
        'dkv_http_requests_total{code="200",method="GET",route="/"} 1.0',
        'dkv_http_request_duration_seconds_count{route="/"} 1.0',
        "dkv_raft_commit_duration_seconds_count 1.0",
        "dkv_disk_fsync_duration_seconds_count 0.0",
        "dkv_eventloop_lag_seconds_count 0.0",
        'dkv_network_peer_round_trip_time_seconds_count{peer="n2"} 1.0',
        'dkv_gossip_members{status="alive"} 5.0',
        'dkv_gossip_members{status="failed"} 2.0',
        "dkv_gossip_health_score 3.0",
        "dkv_gossip_suspected 4.0",
        "dkv_gossip_broadcasts_queued 6.0",
        "dkv_gossip_packets_sent_total 7.0",
        "dkv_gossip_packets_received_total 8.0",
        "dkv_gossip_bytes_sent_total 9.0",
        "dkv_gossip_bytes_received_total 10.0",
        "dkv_gossip_streams_opened_total 11.0",
        "dkv_gossip_streams_accepted_total 12.0",
        "dkv_gossip_stream_bytes_sent_total 13.0",
        "dkv_gossip_stream_bytes_received_total 14.0",
        "dkv_gossip_send_failures_total 15.0",
        'dkv_gossip_refused_total{reason="encryption"} 16.0',
        "dkv_gossip_suspicions_total 17.0",
        "dkv_gossip_refutations_total 18.0",
        "dkv_gossip_probe_failures_total 19.0",
    ],
)
def test_the_contract_s_names(line: str) -> None:
    metrics = Metrics("1.2.3")
    metrics.watch(lambda: FULL)
    metrics.watch_in_flight(lambda: 3)
    metrics.route("/").observe("GET", 200, 0.01)
    metrics.route("/never/used")
    metrics.commit_duration.observe(0.1)
    metrics.peer_round_trip("n2").observe(0.1)
    lines = lines_of(metrics)
    assert line in lines
    assert not [line for line in lines if "_created" in line or "/never/used" in line]


def test_a_node_that_does_not_gossip_yet_says_nothing_of_it() -> None:
    assert not [line for line in lines_of(Metrics("1")) if "gossip" in line]


def test_build_info() -> None:
    (line,) = [line for line in lines_of(Metrics("1.2.3")) if line.startswith("dkv_build_info")]
    assert 'version="1.2.3"' in line


def test_buckets_double_from_half_a_millisecond_and_are_cumulative() -> None:
    distribution = Distribution()
    for duration_s in (0.0001, 0.0005, 0.0006, 4.096, 100.0):
        distribution.observe(duration_s)
    buckets = distribution.buckets()
    assert (BUCKETS_S[0], BUCKETS_S[-1], len(BUCKETS_S)) == (0.0005, 4.096, 14)
    assert buckets[0] == ("0.0005", 2)
    assert buckets[1] == ("0.001", 3)
    assert buckets[-2:] == [("4.096", 4), ("+Inf", 5)]
    assert distribution.sum_s == pytest.approx(104.0972)


def test_strangers_methods_share_a_label() -> None:
    metrics = Metrics("1")
    for method in ("PROPFIND", "LOCK", "GET"):
        metrics.route("/").observe(method, 405, 0.0)
    lines = lines_of(metrics)
    assert 'dkv_http_requests_total{code="405",method="OTHER",route="/"} 2.0' in lines
    assert 'dkv_http_requests_total{code="405",method="GET",route="/"} 1.0' in lines


def test_two_nodes_in_one_process_do_not_meet() -> None:
    one, other = Metrics("1"), Metrics("1")
    one.commit_duration.observe(1.0)
    assert "dkv_raft_commit_duration_seconds_count 0.0" in lines_of(other)


def test_a_removed_peer_is_forgotten() -> None:
    metrics = Metrics("1")
    metrics.peer_round_trip("n2").observe(1.0)
    metrics.forget_peer("n2")
    metrics.forget_peer("n3")
    assert not [line for line in lines_of(metrics) if 'peer="n2"' in line]


def test_openmetrics_on_request() -> None:
    body, content_type = Metrics("1").expose("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
