"""``halfopen grace`` as a command: input that it refuses in one line, before it starts anything."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from halfopen.cli import app, grace
from tests.machine import needs_guest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
        (["--grace-arg", "-t {grace}"], "--grace-arg '-t {grace}': needs --server"),
        ([*SERVER, "--graces", "5s,10s"], "--graces: 2 of them, but no option sets the grace of --server"),
        ([*SERVER, "--grace-arg", "-t 5"], "--grace-arg '-t 5' has neither {grace} nor {grace_ms}"),
        ([*SERVER, "--detector", "outq"], "--detector 'outq': is the pod's"),
        (
            ["--runs", "60", "--max-false-reaps", "0.1%"],
            "--runs 60: too few for --max-false-reaps 0.1%: at best none of",
        ),
        (["--mix", "nowhere.toml"], "no such mix file: nowhere.toml"),
        (["--mix", "."], "cannot read mix file .: is a directory; name one that can be read"),
        (["--trace", "nowhere.trace"], "no such trace file: nowhere.trace"),
        (["--trace", "nowhere/train.csv", "--trace", "train.csv"], "would both be called 'trace-train'; rename one"),
        (["--trace", "/dev/zero"], "trace file /dev/zero is larger than 4 MiB; name one that is smaller"),
        (["--executor", "slurm"], "--executor 'slurm' is none"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_and_nothing_is_started(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code = app.call(["grace", *arguments])
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_without_a_guest_kernel_it_says_how_to_get_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    assert app.call(["grace"]) == 2
    line = "halfopen: there is no guest kernel yet; build it once with: halfopen kernel build\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("executor", "jobs", "words"),
    [
        ("local", None, ""),
        ("local", 2, "--jobs 2"),
        ("dask://host:8786", None, "--executor dask://host:8786"),
    ],
)
def test_it_is_gone_on_with_where_it_was_begun(executor: str, jobs: int | None, words: str) -> None:
    assert shlex.join(grace._where(executor, jobs)) == words


@needs_guest
def test_another_sweeps_batches_are_not_gone_on_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "grace-batches.jsonl").write_text('{"fingerprint": "another", "settings": {"seed": 7}}\n')
    assert app.call(["grace", "--seed", "8", "--resume", "--out", str(folder)]) == 2
    assert "of another sweep: it has seed 7, not 8" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["README.md", "docs/grace.md", "docs/grace-mix.md"])
def test_what_the_docs_show_can_be_called(repository: Path, name: str) -> None:
    """Parse only: a run takes minutes."""
    lines = re.findall(r"^(?:\$ |again: +)halfopen grace ?(.*)$", (repository / name).read_text(), re.MULTILINE)
    assert lines
    command = typer.main.get_command(app.application()).commands["grace"]  # type: ignore[attr-defined]
    for line in lines:
        command.make_context("grace", shlex.split(line, comments=True))
