"""A node as a process: its loop, its log, and how it ends when it must not go on."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from typing import NoReturn

import uvloop

from dkv import logs
from dkv.config import Config

EXIT_BROKEN = 70
"""EX_SOFTWARE: a broken invariant, or a disk that did not keep its word. Neither a crash nor a refusal to start."""


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


def die(error: BaseException) -> NoReturn:
    """End at once: nothing may be sent or answered any more. The diagnosis goes to stderr, past every queue."""
    diagnosis = "".join(traceback.format_exception(error))
    print(f"dkv: this node is broken and stops: {error}\n{diagnosis}", file=sys.stderr, flush=True)
    os._exit(EXIT_BROKEN)
