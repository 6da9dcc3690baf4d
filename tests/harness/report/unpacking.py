"""The page's data, taken out of the page again: the twin of ``assets/data.js``."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any


def data(page: str) -> Any:
    """What lies in the page for its script."""
    found = re.search(r'<script type="application/json" id="run">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def operations(told: Any) -> list[dict[str, Any]]:
    """A dictionary an operation, with whole microseconds."""
    packed, names = told["operations"], told["names"]
    began = list(itertools.accumulate(packed["began"]))
    found = []
    for i in range(len(began)):
        asked = value(packed["values"], packed["value"][i])
        result = asked if packed["result"][i] < 0 else value(packed["values"], packed["result"][i])
        found.append(
            {
                "process": packed["processes"][packed["process"][i]],
                "value": asked,
                "result": result,
                "began": began[i],
                "ended": None if packed["took"][i] < 0 else began[i] + packed["took"][i],
                **{name: names[packed[name][i]] for name in ("type", "f", "key", "node", "error")},
            }
        )
    return found


def value(values: list[Any], number: int) -> Any:
    """A row of the table of values, its splices undone."""
    row = values[number]
    if not (isinstance(row, dict) and "splice" in row):
        return row
    base, prefix, suffix, *middle = row["splice"]
    before = value(values, base) or []
    return [*before[:prefix], *middle, *before[len(before) - suffix :]]
