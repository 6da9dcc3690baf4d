"""How a node ends when it must not go on."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

EXIT_BROKEN = 70
"""EX_SOFTWARE: a broken invariant, or a disk that did not keep its word. Neither a crash nor a refusal to start."""


def die(error: BaseException) -> NoReturn:
    """End at once: nothing may be sent or answered any more. The diagnosis goes to stderr, past every queue."""
    diagnosis = "".join(traceback.format_exception(error))
    print(f"dkv: this node is broken and stops: {error}\n{diagnosis}", file=sys.stderr, flush=True)
    os._exit(EXIT_BROKEN)
