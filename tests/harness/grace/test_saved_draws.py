"""Selection of the sessions that are written out for inspection."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.grace import saved_draws
from halfopen.grace.saved_draws import SavedDraw
from halfopen.grace.sweep import Candidate, Draw, Sweep, Trial, TrialOutcome
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.grace import made, sweeps

DRAWS = (
    Draw(0, "mix", "outage", "0000-outage", sweeps.outage(0, 60.0, hold=180).scenario),
    Draw(1, "dead", "frozen", "0001-frozen", sweeps.dead(1, "freeze").scenario),
    Draw(2, "staircase", "staircase", "0002-staircase", sweeps.outage(2, 1.0).scenario),
)
SWEEP = Sweep(7, DRAWS, made.candidates("bytes-acked"))


def names(*tried: Trial) -> list[str]:
    return [one.draw.cause for one in saved_draws.to_save(SWEEP, tried)]


@pytest.mark.parametrize(
    ("number", "outcome", "found"),
    [
        (0, "kept", []),
        (0, "reaped", ["outage"]),
        (1, "reaped", []),
        (1, "kept", ["frozen"]),
        (2, "kept", []),
        (2, "reaped", []),
        (2, "unproved", ["staircase"]),
    ],
)
def test_what_should_not_have_come_of_it_is_notable(number: int, outcome: TrialOutcome, found: list[str]) -> None:
    assert names(made.tried(number, 0, outcome)) == found


@pytest.mark.parametrize(("predicted_at", "found"), [(31.0, []), (33.0, ["frozen"]), (None, ["frozen"])])
def test_so_is_what_was_predicted_wrongly(predicted_at: float | None, found: list[str]) -> None:
    one = made.tried(1, 0, "reaped", reaped_at=31.0, real=True, predicted=True)
    assert names(msgspec.structs.replace(one, predicted_at=predicted_at)) == found


SERVER = TargetSpec(server="serve {port}", path="/live")


def options(sweep: Sweep, *tried: Trial) -> str:
    (one,) = saved_draws.to_save(sweep, tried)
    return shlex.join(one.options)


def test_it_is_shown_again_by_the_first_candidate_that_went_wrong() -> None:
    wrong = [made.tried(0, candidate, "reaped") for candidate in (3, 1)]
    assert (
        options(SWEEP, *wrong, made.tried(0, 0, "kept"))
        == "--clock virtual --seed 7 --grace 10s --poll 2s --detector bytes-acked"
    )


def test_a_recording_that_proves_nothing_is_made_again_as_it_was() -> None:
    """No detector acted in it, and its durations refer to the longest grace."""
    unproved = [made.tried(0, candidate, "unproved") for candidate in (0, 1)]
    others = Candidate(200.0, 3.0, "ping-timeout")
    sweep = msgspec.structs.replace(SWEEP, candidates=(*SWEEP.candidates, others))
    assert options(sweep, *unproved) == "--clock virtual --seed 7 --grace 90s --poll 2s --detector none"
    # A run with an acting detector is observed as long as the others, and as long as the session needs.
    assert "--grace 10s --poll 2s --detector outq --hold 180s" in options(
        msgspec.structs.replace(SWEEP, candidates=made.candidates("outq")), made.tried(0, 1, "unproved", real=True)
    )


def test_a_server_is_told_the_grace_that_it_was_told() -> None:
    sweep = Sweep(7, DRAWS, made.candidates(None), SERVER, "--ping-timeout {grace} -w {grace_ms}")
    assert options(sweep, made.tried(1, 2, "kept", real=True)) == (
        "--clock virtual --seed 7 --grace 15s --poll 2s --hold 150s "
        "--server 'serve {port} --ping-timeout 15 -w 15000' --path /live"
    )


def noted(*draws: Draw) -> list[SavedDraw]:
    return [SavedDraw(draw, ("--grace", "5s")) for draw in draws]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return a folder for a sweep."""
    saved_draws.check_folder(tmp_path)
    return tmp_path


def test_each_has_its_file_and_what_was_there_before_is_gone(out: Path) -> None:
    saved_draws.write(out, noted(*DRAWS[:2]))
    saved_draws.write(out, noted(*DRAWS[1:]))
    found = {file.stem: file.read_text() for file in (out / "draws").iterdir()}
    assert found.keys() == {"0001-frozen", "0002-staircase"}
    for draw in DRAWS[1:]:
        place = out / "draws" / draw.name
        assert found[draw.name] == f"# again: halfopen run {place}.toml --grace 5s --out {place}\n{draw.scenario}"


def test_a_command_of_several_lines_is_all_comment(out: Path) -> None:
    saved_draws.write(out, [SavedDraw(DRAWS[0], ("--server", "python -c 'import a\n\nb = 1'"))])
    written = (out / "draws" / "0000-outage.toml").read_text()
    assert written.endswith(f"\n{DRAWS[0].scenario}")
    assert all(line.startswith("# ") for line in written.removesuffix(DRAWS[0].scenario).splitlines())


def test_what_the_user_has_there_stays(out: Path) -> None:
    saved_draws.write(out, noted(*DRAWS))
    ours = out / "draws" / "0000-outage.toml"
    mine = {"mine.toml": ours.read_text(), "0003-mine.toml": "title = 'Mine'", "0004-mine.txt": ""}
    for name, text in mine.items():
        (out / "draws" / name).write_text(text)
    saved_draws.write(out, [])
    assert {file.name: file.read_text() for file in (out / "draws").iterdir()} == mine


def test_a_file_in_its_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "draws").write_text("mine")
    with pytest.raises(InputError, match=r"cannot write sessions to look into to .*/draws: file exists; move it away"):
        saved_draws.check_folder(tmp_path)
    assert (tmp_path / "draws").read_text() == "mine"
