"""What strangers feed: a file that cannot be understood is unknown, with a reason, and never a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import checking
from harness.check_cli import check

INVOKE = "{:process 0, :type :invoke, :f :write, :value 1}\n"
STRANGE = {
    "a time that is a list": "{:process 0, :type :invoke, :f :write, :value 1, :time [1]}",
    "a time that is a word": '{:process 0, :type :invoke, :f :write, :value 1, :time "x"}',
    "a transaction without a value": "{:process 0, :type :invoke, :f :txn, :value [[:append 5]]}",
    "a namespaced map": "#:jepsen{:process 0, :type :invoke, :f :write, :value 1}",
    "a map without its end": INVOKE + "{:process 0, :type :ok",
    "a type that is none": INVOKE + "{:process 0, :type :done, :f :write, :value 1}",
    "no type": INVOKE + "{:process 0, :f :write, :value 1}",
    "two at once": INVOKE + INVOKE,
    "an end without a beginning": "{:process 0, :type :ok, :f :write, :value 1}",
    "an operation that nobody knows": "{:process 0, :type :invoke, :f :swap, :value 1}",
    "a cas of one value": "{:process 0, :type :invoke, :f :cas, :value 1}\n{:process 0, :type :ok, :f :cas, :value 1}",
    "transactions of several": "{:process 0, :type :invoke, :f :txn, :value [[:append 5 1] [:r 5 nil]]}",
    "a text about jepsen": "we ran jepsen, and all was well",
    "JSON that is cut in the middle": '{"process":0,"type":"inv\n{"process":0,"type":"invoke","f":"read"}\n',
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_understood_is_unknown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text(text)
    verdict = checking.check_file(path)
    assert verdict.judgement is None
    assert verdict.trouble
    assert checking.exit_code([verdict]) == 2


def test_a_log_without_operations_is_an_empty_history(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    path.write_text("INFO  jepsen.core - Setting up nodes\nINFO  jepsen.core - Everything looks fine\n")
    assert checking.exit_code([checking.check_file(path)]) == 0


def test_a_defect_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> checking.FileVerdict:
        raise AssertionError("rule 12")

    monkeypatch.setattr(checking, "check_file", broken)
    (tmp_path / "history").write_text(INVOKE)
    result = CliRunner().invoke(check, [str(tmp_path / "history")])
    assert result.exit_code == 2
    assert "defect" in result.output
    assert "rule 12" in result.output
