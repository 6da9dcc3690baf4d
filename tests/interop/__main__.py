"""Five dkv nodes and three of HashiCorp's agents in one cluster: ``python -m tests.interop``.

All eight must see all eight for a minute, without one suspicion that was believed; then one of each kind is killed,
leaves, is paused. What `serf` prints about all that goes into a directory, a page for the plain run and one for the
encrypted one.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from dkv.gossip.wire.encryption import Keyring
from tests.interop.run import Run

KEY = Keyring(bytes(range(32)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/interop"), help="where the transcripts go")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long all must stay alive")
    parser.add_argument("--profile", choices=("local", "lan"), default="lan")
    parser.add_argument("--only", choices=("plain", "encrypted"))
    options = parser.parse_args()
    if shutil.which("serf") is None:
        print("no `serf` on this machine (Debian: apt-get install serf)", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    faults = 0
    for kind in [options.only] if options.only else ["plain", "encrypted"]:
        with tempfile.TemporaryDirectory() as directory:
            run = Run(Path(directory), KEY if kind == "encrypted" else None, options.profile, options.seconds)
            faults += asyncio.run(run.all())
        page = options.out / f"{kind}-{options.profile}.md"
        page.write_text(run.page(f"{kind}, profile {options.profile}"))
        print(f"{page}: {len(run.wrong)} wrong")
        print("".join(f"  {each}\n" for each in run.wrong), end="")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
