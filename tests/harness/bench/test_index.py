"""The index of all results: generated, and as it is committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bench import index

RESULTS = Path(__file__).parent.parent.parent.parent / "results"


def test_the_committed_index_is_what_the_directories_say() -> None:
    """If this fails: ``python -m harness.bench.index results``."""
    assert (RESULTS / index.README).read_text("utf-8") == index.index(RESULTS)


def test_every_result_says_what_it_is() -> None:
    rows = [line for line in index.index(RESULTS).splitlines() if line.startswith("| [")]
    assert len(rows) >= 4
    assert [row for row in rows if len(row.split(" | ")[1]) < 30] == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("# Title\n\nA paragraph.\n\n> What it is,\n> in two lines.\n\n> Another.\n", "What it is, in two lines."),
        (
            "# Title\n\n![plot](x.svg)\n\n- list\n\nWhat it is, in\ntwo lines. More of it.\n",
            "What it is, in two lines.",
        ),
        ("# Title\n\n**Question.** Is it?\n", "**Question.** Is it?"),
        ("# Title\n", ""),
        ("", ""),
    ],
)
def test_a_pages_own_sentence(page: str, said: str) -> None:
    assert index.sentence(page) == said


def test_entries_links_and_what_is_left_out(tmp_path: Path) -> None:
    for name, content in {
        "b/summary.md": "# B\n\n> See [here](x.md), [there](https://example.org/y), [a part](#part) | and more.\n",
        "b/README.md": "> Not this.\n",
        "a/README.md": "# A\n\nPlain words.\n",
        "c/manifest.json": '{"question": "Does it?"}',
        "d/samples.jsonl": "",
        "PAGE.md": "# P\n\nOne sentence. Another one.\n",
        "README.md": "old",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert index.write(tmp_path).read_text() == index.HEAD + (
        "| [a](a/README.md) | Plain words. |\n"
        "| [b](b/summary.md) | See [here](b/x.md), [there](https://example.org/y), [a part](#part) \\| and more. |\n"
        "| [c](c/manifest.json) | Does it? |\n"
        "\n[PAGE.md](PAGE.md): One sentence.\n"
    )
    assert index.index(tmp_path) == (tmp_path / "README.md").read_text(), "the index is not part of itself"
