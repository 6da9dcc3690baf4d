"""The house keeps its own rules: style, types, directions of imports, sizes, and a few words that must not appear."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("dkv", "harness", "loadtests")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LONG_FUNCTIONS: dict[str, int] = {
    # The ratchet: these may only shrink, and nothing may join them.
    "dkv/raft/replica.py:__init__": 92,
}


def sources(*roots: str) -> list[Path]:
    return [path for root in roots for path in sorted((ROOT / root).rglob("*.py"))]


def run(*command: str) -> str:
    """Output of a failed command; empty if it succeeded."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("command", [("ruff", "check", "."), ("ruff", "format", "--check", ".")], ids=" ".join)
def test_style(command: tuple[str, ...]) -> None:
    assert run(*command) == ""


@pytest.mark.timeout(600)
def test_types() -> None:
    assert run("mypy", "--no-error-summary") == ""


def test_imports_point_downwards() -> None:
    script = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "18 kept, 0 broken" in done.stdout, done.stdout[-4000:]


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES_MAX, "where a room becomes two, split it"
    tree = ast.parse(text)
    assert not text.strip() or ast.get_docstring(tree) or path.name.startswith("test_"), "a module says what it is"
    for function in functions(tree):
        lines = (function.end_lineno or 0) - function.lineno + 1
        limit = LONG_FUNCTIONS.get(f"{path.relative_to(ROOT)}:{function.name}", FUNCTION_LINES_MAX)
        assert lines <= limit, f"{function.name} has {lines} lines"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


BROAD_EXCEPT = {
    "dkv/api/server.py": "a bug in a handler becomes a 500 with its traceback in the log",
    "dkv/api/hot.py": "the same, for a request without a task",
    "dkv/raft/host.py": "ends the process",
    "dkv/raft/library.py": "becomes a FatalError",
    "harness/check_cli.py": "becomes the verdict unknown: Python would exit with 1, which is another verdict",
}
"""File → why it may catch everything."""


@pytest.mark.parametrize("path", sources("dkv", "harness"), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_swallows_errors_or_unpickles(path: Path) -> None:
    tree = ast.parse(path.read_text())
    name = str(path.relative_to(ROOT))
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and name not in BROAD_EXCEPT:
            caught = ast.unparse(node.type) if node.type else ""
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert caught not in ("", "Exception", "BaseException") or raises, f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not any(module.split(".")[0] == "pickle" for module in names), f"line {node.lineno}"


def test_no_rooms_without_a_noun() -> None:
    lazy = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)(_|$)")
    assert [path for path in sources(*PACKAGES, "tests") if lazy.search(path.stem)] == []


def test_the_house_can_fail(tmp_path: Path) -> None:
    """The style check is one that can fail."""
    bad = tmp_path / "bad.py"
    bad.write_text("import os\n")
    assert "F401" in run("ruff", "check", "--isolated", "--select", "F", str(bad))
