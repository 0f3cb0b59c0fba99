"""Plots as files: they exist, the same table gives the same plots, and invalid requests are refused."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from halfopen.errors import InputError
from halfopen.grace import files, plots
from halfopen.grace.estimates import estimate
from halfopen.grace.trials import Trial
from tests.harness.grace import made
from tests.harness.grace.test_files import HOW


@functools.cache
def table(
    *detectors: str | None,
    known: int = 10_000,
    staircase: bool = True,
    graces: Sequence[float] = (5.0, 30.0),
    polls: Sequence[float] = (2.0,),
    runs: int = 60,
    dead: int = 9,
) -> dict[str, Any]:
    """Return a sweep of these detectors with the first ``known`` draws known."""
    who = [one for poll in polls for one in made.candidates(*detectors, graces=graces, poll=poll)]
    sweep = made.sweep(tuple(who), runs, dead, staircase=staircase)
    outcomes: list[Trial] = [one for one in made.outcomes(sweep) if one.draw < known]
    return files.as_table(sweep, estimate(sweep, outcomes), HOW)


@pytest.mark.parametrize("name", ["plot.svg", "plot.png"])
def test_a_file_has_all_of_them_and_is_the_same_again(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    assert plots.write(file, table("bytes-acked")) == [str(file)]
    first = file.read_bytes()
    plots.write(file, table("bytes-acked"))
    assert file.read_bytes() == first
    assert first.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


def test_a_folder_has_one_file_for_each(tmp_path: Path) -> None:
    written = plots.write(tmp_path / "plots", table("bytes-acked", "outq"))
    assert [Path(file).name for file in written] == ["grace-frontier.svg", "grace-outages.svg", "grace-latency.svg"]
    for file in written:
        assert ET.parse(file).getroot().tag.endswith("svg")


#: Incomplete sweeps: their difference from complete ones, and the texts missing from their plots.
PARTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"staircase": False}, {"outages"}),
    ({"dead": 0}, {"frontier", "latency"}),
    ({"runs": 0}, {"frontier"}),
    ({"runs": 0, "dead": 0}, {"frontier", "latency"}),
    ({"known": 0}, {"frontier", "outages", "latency"}),
]


@pytest.mark.parametrize(("given", "missing"), PARTS)
def test_an_empty_plot_is_not_written_and_that_is_said(
    given: dict[str, Any], missing: set[str], tmp_path: Path
) -> None:
    lines = plots.write(tmp_path, table("bytes-acked", **given))
    there = {"frontier", "outages", "latency"} - missing
    assert {file.name for file in tmp_path.iterdir()} == {f"grace-{name}.svg" for name in there}
    assert len(lines) == 3
    for name in missing:
        assert any(f"grace-{name}.svg is not written: no " in line for line in lines)


@pytest.mark.parametrize(("given", "missing"), PARTS)
def test_one_file_has_all_that_there_are_and_none_if_there_is_none(
    given: dict[str, Any], missing: set[str], tmp_path: Path
) -> None:
    lines = plots.write(tmp_path / "plot.svg", table("bytes-acked", **given))
    if len(missing) == 3:
        assert lines == [f"{tmp_path / 'plot.svg'} is not written: nothing is known yet"]
        assert not list(tmp_path.iterdir())
    else:
        assert lines[0] == str(tmp_path / "plot.svg")
        assert {line.split(":")[0].split()[-1] for line in lines[1:]} == missing


def test_what_is_left_from_an_earlier_sweep_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    plots.write(tmp_path, table("bytes-acked"))
    _, outages, _ = plots.write(tmp_path, table("bytes-acked", staircase=False))
    assert "grace-outages.svg is not written, and what is there is older: no outage" in outages


def test_a_large_sweeps_plots_are_fit_for_a_repository(tmp_path: Path) -> None:
    written = plots.write(tmp_path, table("bytes-acked", graces=made.GRACES, runs=4000, dead=1000))
    assert sum(Path(file).stat().st_size for file in written) < 150_000


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("plot.pdf", "ends in .svg or .png"),
        ("taken", "taken' is a file; a folder is wanted there"),
        ("taken/plots", "taken' is a file; a folder is wanted there"),
        ("taken/plot.svg", "taken' is a file; a folder is wanted there"),
        ("x" * 300, "file name too long; name a place that can be written to"),
    ],
)
def test_what_is_no_place_for_a_plot_is_refused(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(InputError, match=why) as refused:
        plots.check(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["plots", "plots/of/ours", "plot.svg", "plots/plot.svg", "dated.2026"])
def test_what_is_a_place_for_a_plot_is_not_made_yet(name: str, tmp_path: Path) -> None:
    (tmp_path / "dated.2026").mkdir()
    plots.check(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["dated.2026"]


def test_an_empty_word_is_not_the_folder_one_is_in() -> None:
    with pytest.raises(InputError, match="name a folder or a file"):
        plots.check(Path(""))


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(InputError, match="plots' cannot be written: no space left on device"):
        plots.write(tmp_path / "plots", table("bytes-acked"))


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'halfopen\[plots\]'"):
        plots.check(tmp_path / "plot.svg")


def test_where_nothing_can_be_written_is_found_before_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere."""
    monkeypatch.setattr(os, "access", lambda place, mode: not (place == tmp_path and mode & os.W_OK))
    for name in ("plot.svg", "plots", "of/ours/plot.svg"):
        with pytest.raises(InputError, match=f"--plot '.*{name}': '{tmp_path}' cannot be written to; name a place"):
            plots.check(tmp_path / name)
