"""What the kernel's packet filter is told: scripts for ``nft``, as text.

Pure. One table between the nodes: a set of (source, target) pairs that are silent, and a chain of pairs that
lose some packets at random. A script is one transaction: every packet meets the old state or the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TABLE = "ip dkv_harness"
PARTS = 10_000
"""Loss is set in parts of this: a hundredth of a per cent."""

Pair = tuple[str, str]
"""(source address, target address)."""

SETUP = f"""\
table {TABLE} {{
  set cut {{ type ipv4_addr . ipv4_addr; }}
  chain loss {{ }}
  chain between {{
    type filter hook forward priority 0; policy accept;
    ip saddr . ip daddr @cut drop
    jump loss
  }}
}}
"""


def cut_script(pairs: Iterable[Pair]) -> str:
    """Exactly these pairs are silent."""
    lines = [f"flush set {TABLE} cut"]
    if elements := ", ".join(f"{source} . {target}" for source, target in sorted(set(pairs))):
        lines.append(f"add element {TABLE} cut {{ {elements} }}")
    return "\n".join(lines) + "\n"


def loss_script(losses: Mapping[Pair, float]) -> str:
    """Exactly these pairs lose packets, each with its probability."""
    lines = [f"flush chain {TABLE} loss"]
    for (source, target), loss in sorted(losses.items()):
        chance = f"numgen random mod {PARTS} < {round(loss * PARTS)} " if loss < 1.0 else ""
        lines.append(f"add rule {TABLE} loss ip saddr {source} ip daddr {target} {chance}drop")
    return "\n".join(lines) + "\n"
