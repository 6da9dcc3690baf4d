"""Python's bytecode of what is started again and again, as an installer leaves it.

A checkout has none until its modules were imported once, and never has any where PYTHONDONTWRITEBYTECODE is set: every
start of a node would then compile two hundred modules, a third of the processor time that it takes.
"""

from __future__ import annotations

import compileall
from importlib.util import find_spec

PACKAGES = ("dkv", "harness")


def keep() -> str:
    """Compile what is not. A sentence where that cannot be done (a directory of somebody else's), else ""."""
    for package in PACKAGES:
        spec = find_spec(package)
        places = (spec.submodule_search_locations if spec else None) or ()
        if not all(compileall.compile_dir(place, quiet=2) for place in places):
            return f"the bytecode of {package} could not be kept, so each start of a node compiled it"
    return ""
