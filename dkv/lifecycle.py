"""A node as a process: its loop and its log."""

from __future__ import annotations

import asyncio

import uvloop

from dkv import logs
from dkv.config import Config


def serve_node(config: Config) -> None:
    """Run a node until it is told to stop. Raises ``StartupError``, perhaps in an exception group."""
    log = logs.setup(config.id, level=config.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_node(config))
    finally:
        log.stop()


async def _node(config: Config) -> None:
    from dkv.node import Node

    await Node(config).run()
