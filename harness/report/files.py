"""The shell: reads a run's directory and puts the reports into it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from harness.errors import Refused
from harness.report import junit, page, text
from harness.report.recording import FILES, parse

PAGE, TEXT, JUNIT = "report.html", "report.txt", "junit.xml"


def write(run_directory: Path) -> Path:
    """Write PAGE, TEXT and JUNIT; returns the page's path. Raises Refused for a directory that is no run's."""
    files = {name: path.read_bytes() for name in FILES if (path := run_directory / name).is_file()}
    if not files:
        raise Refused(f"{run_directory} is no chaos run's directory: it has none of {', '.join(FILES)}")
    recording = parse(str(run_directory), files)
    assets = resources.files(__package__) / "assets"
    plain = text.render(recording)
    rendered = {
        PAGE: page.render(recording, plain, {name: (assets / name).read_text("utf-8") for name in page.ASSETS}),
        TEXT: plain,
        JUNIT: junit.render(recording, plain),
    }
    for name, content in rendered.items():
        (run_directory / name).write_text(content, "utf-8")
    return run_directory / PAGE
