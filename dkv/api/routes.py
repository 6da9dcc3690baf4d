"""Which handler serves (method, path): exact paths, and two that end in a name. Pure but for what handlers do.

The handler of GET serves HEAD too: a reply to HEAD is sent without its body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dkv.api.exchange import Exchange
from dkv.api.response import Response
from dkv.errors import RouteNotFound
from dkv.metrics import Metrics, RouteMeter

Handler = Callable[[Exchange], Awaitable[Response]]

UNMATCHED: Final = "unmatched"
"""The route label of whatever has no route: paths that strangers try must not become labels."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One path template with its methods.

    ``always``: its GET is served even when the node is overloaded or shutting down, for those who want to know why.
    """

    template: str
    methods: Mapping[str, Handler]
    always: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A resource with what a request needs of it. ``allow``: the header of that name."""

    template: str
    handlers: Mapping[str, Handler]
    allow: str
    always: bool
    meter: RouteMeter


class Routes:
    """The table."""

    def __init__(self, resources: list[Resource], metrics: Metrics) -> None:
        self._exact: dict[str, Route] = {}
        self._prefixes: list[tuple[str, Route]] = []
        self.unmatched = metrics.route(UNMATCHED)
        for resource in resources:
            handlers = dict(resource.methods)
            if "GET" in handlers:
                handlers["HEAD"] = handlers["GET"]
            template, allow = resource.template, ", ".join(sorted(handlers))
            route = Route(template, handlers, allow, resource.always, metrics.route(template))
            prefix, brace, _ = template.partition("{")
            if brace:
                self._prefixes.append((prefix, route))
            else:
                self._exact[template] = route

    def find(self, exchange: Exchange) -> Route:
        """The route of ``exchange.target``; sets its ``argument`` and ``query``. Raises ``RouteNotFound``."""
        route = self._exact.get(exchange.target)
        if route is not None:
            return route
        path, _, query = exchange.target.partition("?")
        exchange.query = query
        route = self._exact.get(path)
        if route is not None:
            return route
        for prefix, route in self._prefixes:
            if path.startswith(prefix):
                exchange.argument = path[len(prefix) :]
                return route
        raise RouteNotFound(f"There is nothing at {path[:200]!r}. GET / lists what there is.")
