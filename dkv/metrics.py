"""Every metric of a node: name, help, labels, buckets (CONTRACT §3). The only file that names prometheus_client.

Strategy: what happens is counted in plain numbers (0.5 µs an observation; the library's own histogram and counter with
their locks cost 3 µs a request), what *is* (term, indices, pending proposals) is asked for as one ``Figures``; both are
turned into the library's families only when somebody scrapes.
Law: one thread observes a ``Distribution``. About 20 of them in all: each is 17 lines of every scrape.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from dkv.gossip.agent.figures import GossipFigures

BUCKETS_S: Final = tuple(0.0005 * 2**i for i in range(14))
"""0.5 ms … 4.1 s: the library's own begin at 5 ms, where a local write has long ended."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
OTHER_METHOD: Final = "OTHER"
"""For methods that strangers invent: a label's values must be few."""


class Distribution:
    """One histogram: durations in seconds."""

    __slots__ = ("_counts", "_sum_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_S) + 1)
        self._sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """One more."""
        self._counts[bisect_left(BUCKETS_S, duration_s)] += 1
        self._sum_s += duration_s

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound → how many were at or below it, as Prometheus wants them."""
        bounds = [*map(repr, BUCKETS_S), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))

    @property
    def sum_s(self) -> float:
        """Of all that was observed."""
        return self._sum_s


class RouteMeter:
    """One route's requests. ``template`` is the route's pattern (``/v1/kv/{key}``): keys must not become labels."""

    __slots__ = ("counts", "durations", "template")

    def __init__(self, template: str) -> None:
        self.template = template
        self.counts: dict[tuple[str, int], int] = {}
        self.durations = Distribution()

    def observe(self, method: str, status: int, duration_s: float) -> None:
        """One request answered."""
        key = (method if method in METHODS else OTHER_METHOD, status)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.durations.observe(duration_s)


@dataclass(frozen=True, slots=True)
class Figures:
    """A node's numbers at the moment of a scrape. Those of ``_COUNTERS`` count from the start of the process."""

    has_leader: bool = False
    is_leader: bool = False
    leader_changes_seen: int = 0
    proposals_committed: int = 0
    proposals_applied: int = 0
    proposals_failed: int = 0
    proposals_pending: int = 0
    term: int = 0
    commit_index: int = 0
    applied_index: int = 0
    log_entries: int = 0
    keys: int = 0
    peer_match_index: Mapping[str, int] = field(default_factory=dict)
    """Peer's name → index; a leader's only."""
    gossip: GossipFigures | None = None
    """None: the node does not gossip yet."""


_Row = tuple[str, str, str]
"""A metric's name, its help, and the attribute that has its value."""

_GAUGES: Final = (
    ("dkv_server_has_leader", "1 if this node knows of a leader.", "has_leader"),
    ("dkv_server_is_leader", "1 if this node is the leader.", "is_leader"),
    ("dkv_server_proposals_pending", "Proposals that wait for their commit here.", "proposals_pending"),
    ("dkv_raft_term", "Current term.", "term"),
    ("dkv_raft_commit_index", "Highest log index known to be committed.", "commit_index"),
    ("dkv_raft_applied_index", "Highest log index applied to the state machine.", "applied_index"),
    ("dkv_raft_log_entries", "Entries in the log, from the first that is kept.", "log_entries"),
    ("dkv_kv_keys", "Keys in this node's state machine.", "keys"),
)

_COUNTERS: Final = (
    ("dkv_server_leader_changes_seen", "Changes of leader that this node has seen.", "leader_changes_seen"),
    ("dkv_server_proposals_committed", "Proposals committed.", "proposals_committed"),
    ("dkv_server_proposals_applied", "Proposals applied.", "proposals_applied"),
    ("dkv_server_proposals_failed", "Proposals that failed.", "proposals_failed"),
)

_GOSSIP_GAUGES: Final = (
    (
        "dkv_gossip_health_score",
        "Lifeguard's awareness: 0 is healthy, more is slower to suspect others.",
        "health_score",
    ),
    ("dkv_gossip_suspected", "Members under suspicion.", "suspected"),
    ("dkv_gossip_broadcasts_queued", "News that is still to be told.", "broadcasts_queued"),
)

_GOSSIP_COUNTERS: Final = (
    ("dkv_gossip_packets_sent", "Datagrams sent.", "packets_sent"),
    ("dkv_gossip_packets_received", "Datagrams received.", "packets_received"),
    ("dkv_gossip_bytes_sent", "Bytes in datagrams sent.", "bytes_sent"),
    ("dkv_gossip_bytes_received", "Bytes in datagrams received.", "bytes_received"),
    ("dkv_gossip_streams_opened", "Exchanges over TCP begun here.", "streams_opened"),
    ("dkv_gossip_streams_accepted", "Exchanges over TCP begun by others.", "streams_accepted"),
    ("dkv_gossip_stream_bytes_sent", "Bytes sent over TCP.", "stream_bytes_sent"),
    ("dkv_gossip_stream_bytes_received", "Bytes received over TCP.", "stream_bytes_received"),
    ("dkv_gossip_send_failures", "Datagrams that the system would not send.", "send_failures"),
    ("dkv_gossip_suspicions", "Members that this one began to suspect.", "suspicions"),
    ("dkv_gossip_refutations", "Claims about this member that it had to refute.", "refutations"),
    ("dkv_gossip_probe_failures", "Probes that got no answer, by any way.", "probe_failures"),
)


class Metrics:
    """One node's metrics, in a registry of its own."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.commit_duration = Distribution()
        self.fsync_duration = Distribution()
        self.eventloop_lag = Distribution()
        self._build = {"version": version, "python": platform.python_version()}
        self._round_trips: dict[str, Distribution] = {}
        self._routes: dict[str, RouteMeter] = {}
        self._in_flight: Callable[[], int] = int
        self._figures: Callable[[], Figures] = Figures
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Scrape(self._families))

    def peer_round_trip(self, peer: str) -> Distribution:
        """One peer's; keep it."""
        return self._round_trips.setdefault(peer, Distribution())

    def forget_peer(self, peer: str) -> None:
        """A peer that was removed from the cluster."""
        self._round_trips.pop(peer, None)

    def route(self, template: str) -> RouteMeter:
        """One route's; keep it."""
        return self._routes.setdefault(template, RouteMeter(template))

    def watch_in_flight(self, source: Callable[[], int]) -> None:
        """``source``: HTTP requests that are being served; asked at each scrape."""
        self._in_flight = source

    def watch(self, source: Callable[[], Figures]) -> None:
        """``source`` is asked at each scrape."""
        self._figures = source

    def expose(self, accept: str) -> tuple[bytes, str]:
        """(body, content type), in the format that the ``Accept`` header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _families(self) -> Iterator[Metric]:
        yield InfoMetricFamily("dkv_build", "What runs here.", value=self._build)
        yield from self._figure_families()
        yield from self._http_families()
        for name, text, distribution in (
            (
                "dkv_raft_commit_duration_seconds",
                "From a proposal to its commit, at the leader.",
                self.commit_duration,
            ),
            ("dkv_disk_fsync_duration_seconds", "One durable commit of the log.", self.fsync_duration),
            ("dkv_eventloop_lag_seconds", "How late the event loop wakes a timer.", self.eventloop_lag),
        ):
            yield _histogram(name, text, "", [("", distribution)])
        yield _histogram(
            "dkv_network_peer_round_trip_time_seconds",
            "A message to a peer and its answer.",
            "peer",
            self._round_trips.items(),
        )

    def _figure_families(self) -> Iterator[Metric]:
        figures = self._figures()
        yield from _of(figures, _GAUGES, _COUNTERS)
        if figures.gossip is not None:
            yield from _gossip_families(figures.gossip)
        matches = GaugeMetricFamily(
            "dkv_raft_peer_match_index",
            "Highest log index known to be on a peer (leader only).",
            labels=["peer"],
        )
        for peer, index in figures.peer_match_index.items():
            matches.add_metric([peer], index)
        yield matches

    def _http_families(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "dkv_http_requests", "HTTP requests answered.", labels=["route", "method", "code"]
        )
        used = [meter for meter in self._routes.values() if meter.counts]
        for meter in used:
            for (method, status), count in meter.counts.items():
                requests.add_metric([meter.template, method, str(status)], count)
        yield requests
        yield GaugeMetricFamily(
            "dkv_http_requests_in_flight", "HTTP requests that are being served.", value=self._in_flight()
        )
        yield _histogram(
            "dkv_http_request_duration_seconds",
            "HTTP requests, from their header to their reply.",
            "route",
            [(meter.template, meter.durations) for meter in used],
        )


class _Scrape(Collector):
    """The door through which the library asks."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()


def _of(figures: object, gauges: Iterable[_Row], counters: Iterable[_Row]) -> Iterator[Metric]:
    for name, text, attribute in gauges:
        yield GaugeMetricFamily(name, text, value=getattr(figures, attribute))
    for name, text, attribute in counters:
        yield CounterMetricFamily(name, text, value=getattr(figures, attribute))


def _gossip_families(figures: GossipFigures) -> Iterator[Metric]:
    yield from _of(figures, _GOSSIP_GAUGES, _GOSSIP_COUNTERS)
    members = GaugeMetricFamily("dkv_gossip_members", "Members by status, this one included.", labels=["status"])
    for status, count in figures.members.items():
        members.add_metric([status], count)
    refused = CounterMetricFamily("dkv_gossip_refused", "What came in vain, by reason.", labels=["reason"])
    for reason, count in figures.refused.items():
        refused.add_metric([reason], count)
    yield from (members, refused)


def _histogram(name: str, text: str, label: str, children: Iterable[tuple[str, Distribution]]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label] if label else [])
    for value, distribution in children:
        family.add_metric([value] if label else [], distribution.buckets(), distribution.sum_s)
    return family
