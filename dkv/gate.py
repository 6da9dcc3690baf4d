"""The store before there is one: the HTTP edge is up while the node recovers, or waits to be let into a cluster.

Until it is opened every request is refused (503), and so certainly not applied; afterwards it is the router.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from dkv.errors import NotReady
from dkv.kv.commands import Result
from dkv.router import Router
from dkv.views import ReadReply, View


async def _refuse(*arguments: Any, **options: Any) -> NoReturn:
    _refuse_at_once()


def _refuse_at_once(*arguments: Any, **options: Any) -> NoReturn:
    raise NotReady("This node is still starting. Nothing was done; ask again in a moment.", retry_after_s=1.0)


class Gate:
    """A ``dkv.api.services.Store``. Its methods are attributes, so that an open gate costs nothing."""

    def __init__(self, name: str) -> None:
        """``name`` is the node's."""
        closed = View(name, None, 0, 0)
        self.write: Callable[..., Coroutine[Any, Any, list[Result]]] = _refuse
        self.read: Callable[..., Coroutine[Any, Any, ReadReply]] = _refuse
        self.begin_write: Callable[..., object] = _refuse_at_once
        self.begin_read: Callable[..., object] = _refuse_at_once
        self._view: Callable[[], View] = lambda: closed

    def view(self) -> View:
        return self._view()

    def open(self, router: Router) -> None:
        self.write, self.read, self._view = router.write, router.read, router.view
        self.begin_write, self.begin_read = router.begin_write, router.begin_read
