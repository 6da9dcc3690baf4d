"""A node as a process: its loop and its log."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from typing import Any

import uvloop

from dkv import logs
from dkv.abort import die
from dkv.config import Config
from dkv.errors import FatalError


def serve_node(config: Config) -> None:
    """Run a node until it is told to stop. Raises ``StartupError``, perhaps in an exception group."""
    log = logs.setup(config.id, level=config.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_node(config))
    finally:
        log.stop()


async def _node(config: Config) -> None:
    # As it is imported aiohttp makes a TLS context with all of the system's certificates, which takes an eighth of a
    # start; a node speaks no TLS.
    os.environ.setdefault("SSL_CERT_FILE", os.devnull)
    from dkv.node import Node

    gc.freeze()
    gc.enable()
    asyncio.get_running_loop().set_exception_handler(_unhandled)
    await Node(config).run()


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # From a callback of a protocol or task, where nobody else would notice: a broken invariant ends the node there too.
    error = context.get("exception")
    if isinstance(error, FatalError | AssertionError):
        die(error)
    logging.getLogger(__name__).error("unhandled: %s", context["message"], exc_info=error)
