"""The tasks of a member: started by the node, ended with the member."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Tasks:
    """``spawn`` starts a task of the node's, where what goes wrong is seen."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._running: set[asyncio.Task[Any]] = set()
        self._ended = False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """``work`` runs until it is over, or ``end``."""
        self._spawn(self._run(work))

    async def end(self) -> None:
        """Cancels all and waits for them, but for the one that calls this."""
        self._ended = True
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        if self._ended:
            work.close()
            return
        task = asyncio.current_task()
        assert task is not None, "a coroutine without a task"
        self._running.add(task)
        try:
            await work
        except asyncio.CancelledError:
            if not self._ended:
                raise
        finally:
            self._running.discard(task)
