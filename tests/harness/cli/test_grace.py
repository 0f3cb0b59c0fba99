"""``halfopen grace``, as it is called: what it refuses in one line, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.cli.tool import halfopen
from tests.machine import needs_guest

SERVER = ("--server", "touch started {port}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--graces", "5"], "--graces '5': "),
        (["--graces", "5s,,10s"], "--graces '5s,,10s': "),
        (["--graces", "0s"], "--graces '0s': must be more than nothing"),
        (["--polls", "fast"], "--polls 'fast': "),
        (["--runs", "0"], "--runs"),
        (["--max-false-reaps", "0.1"], "--max-false-reaps"),
        (["--max-false-reaps", "0%"], "must be more than nothing: got '0%'"),
        (["--detector", "bytes-aked"], "unknown detector 'bytes-aked'; did you mean 'bytes-acked'?"),
        (["--grace-arg", "-t {grace}"], "--grace-arg '-t {grace}' goes with --server"),
        ([*SERVER, "--graces", "5s,10s"], "--graces: 2 of them, and nothing tells the --server its grace"),
        ([*SERVER, "--grace-arg", "-t 5"], "--grace-arg '-t 5' has no {grace} in it"),
        ([*SERVER, "--detector", "outq"], "--detector 'outq' is the pod's"),
        (["--mix", "nowhere.toml"], "no such mix file: nowhere.toml"),
        (["--trace", "nowhere.trace"], "nowhere.trace"),
        (["--executor", "slurm"], "--executor 'slurm' is none"),
        (["--plot", "curve.gif"], "curve.gif"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_and_nothing_is_started(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    ran = halfopen("grace", *arguments, cwd=tmp_path)
    assert ran.code == 2, ran.err
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_a_guest_kernel_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ran = halfopen("grace", cwd=tmp_path)
    assert ran.code == 2
    assert ran.err == "halfopen: there is no guest kernel yet; build it once with: halfopen kernel build\n"


@needs_guest
def test_another_sweeps_batches_are_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "grace-batches.jsonl").write_text('{"fingerprint": "another", "settings": {"seed": 7}}\n')
    ran = halfopen("grace", "--seed", "8", "--resume", "--out", str(tmp_path))
    assert ran.code == 2
    assert "of another sweep: it has seed 7, not 8" in ran.err
