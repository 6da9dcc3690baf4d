"""Large writes to one node at a time, beside the plan's operations: what makes logs long in a moment.

They stand in no history, and nobody waits for them: the node that gets them is cut off, or about to be. Their key is
one that no client of a plan touches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from harness.systems.base import Client, NotApplied, Unknown

KEY = "pressure"
PATIENCE_S = 0.3
"""For one of them, which is not to be done in time."""
APART_S = 0.02
"""Between two of them: each becomes an entry of its own."""


async def press(client: Callable[[float], Client], writes: int, size_bytes: int) -> None:
    """So many writes of so many bytes. ``client``: makes one of this patience, which talks to the node."""

    async def write(number: int) -> None:
        await asyncio.sleep(number * APART_S)
        one = client(PATIENCE_S)
        try:
            await one.write(KEY, f"{number}".ljust(size_bytes, "."))
        except (NotApplied, Unknown):
            pass  # as it was meant to be
        finally:
            await one.close()

    async with asyncio.TaskGroup() as group:
        for number in range(writes):
            group.create_task(write(number))
