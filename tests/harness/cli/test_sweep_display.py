"""A sweep's output at the terminal, by executors that make up the result of each batch. No guests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from halfopen.cli import sweep_display
from halfopen.cli.exits import explained
from halfopen.cli.sweep_display import SweepDisplay
from halfopen.errors import InputError
from halfopen.grace import store
from halfopen.grace.executor import SweepExecutor
from halfopen.grace.prospect import Pace, minutes
from halfopen.grace.sweep import Batch, BatchResult, Candidate, Sweep, Trial
from halfopen.netns.lab_errors import GuestLostError
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.grace import sweeps

SWEEP = sweeps.small()
Changed = Callable[[Trial], Trial]


def unchanged(one: Trial) -> Trial:
    return one


@dataclass
class MadeUp:
    """Reports every session as kept, or as ``changed`` alters it, until interrupted."""

    changed: Changed = unchanged
    stop: BaseException | None = None
    after: int = 0
    """Number of batches done before ``stop``."""
    kernels: tuple[str, ...] = ("6.1",)
    at_once: int = 1

    def run(self, batches: Iterable[Batch], on_batched: Callable[[BatchResult], None]) -> None:
        for nth, batch in enumerate(batches):
            if self.stop is not None and nth == self.after:
                raise self.stop
            kernel = self.kernels[nth % len(self.kernels)]
            on_batched(BatchResult(batch.number, list(map(self.changed, _tried(batch))), kernel, "cubic"))


def _tried(batch: Batch) -> Iterable[Trial]:
    for draw in batch.draws:
        for candidate in batch.replayed if batch.acting is None else (batch.acting,):
            yield msgspec.structs.replace(sweeps.tried(draw.number, candidate), real=batch.acting is not None)


def disagreeing(one: Trial) -> Trial:
    """A real run that was reaped, although its replay says otherwise."""
    return msgspec.structs.replace(one, outcome="reaped", reaped_at=9.0, predicted=True) if one.real else one


def noticed(one: Trial) -> Trial:
    """All dead clients noticed, as they should be."""
    grace = SWEEP.candidates[one.candidate].grace
    dead = {draw.number for draw in SWEEP.draws if draw.part == "dead"}
    return msgspec.structs.replace(one, outcome="reaped", onset=5.0, reaped_at=6.0 + grace) if one.draw in dead else one


@dataclass(frozen=True)
class Ended:
    code: int
    lines: list[str]
    err: str

    def line(self, beginning: str) -> str:
        """Return the line with this beginning."""
        (found,) = (line for line in self.lines if line.startswith(beginning))
        return found


Swept = Callable[..., Ended]


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Swept:
    """Return a function that sweeps in the current directory, into ``out``."""
    monkeypatch.chdir(tmp_path)

    def sweep(
        executor: SweepExecutor,
        what: Sweep = SWEEP,
        *,
        resume: bool = False,
        where: tuple[str, ...] = (),
        most: float = 0.001,
        notes: tuple[str, ...] = (),
        enough: int | None = None,
    ) -> Ended:
        it = SweepDisplay(
            sweep=what,
            mix="made up",
            kernel=None,
            most=most,
            out=Path("out"),
            command=lambda runs: f"halfopen grace --runs {runs}",
            where=where,
            notes=notes,
            enough=enough,
        )
        code = explained(lambda: it.carry_out(executor, resume=resume))
        said = capsys.readouterr()
        return Ended(code, said.out.splitlines(), said.err)

    return sweep


def table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out/grace.json").read_text())
    return found


def test_a_sweep_says_what_it_is_and_where_its_results_are(swept: Swept) -> None:
    ended = swept(MadeUp())
    assert (ended.code, ended.err) == (0, "")
    assert ended.lines[:2] == [
        "halfopen 0.1.0: pod, detector bytes-acked, grace 5s, 10s, 20s, poll 2s; virtual clock; seed 7",
        "1 live and 2 dead sessions of the mix 'made up', 2 outages of every length",
    ]
    assert "results: out/grace.json, out/grace.csv, report: out/report.html" in ended.lines[-2]
    assert ended.lines[-1] == "again:   halfopen grace --runs 3"
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("draws", "grace-batches.jsonl", "grace.csv", "grace.json", "report.html")
    ]
    assert table()["draws"] == {"planned": 5, "tried": 5}


def test_a_server_that_is_told_nothing_is_said_to_be_one_point(swept: Swept) -> None:
    sweep = Sweep(7, SWEEP.draws, (Candidate(30.0, 2.0),), TargetSpec(server="serve {port}"))
    ended = swept(MadeUp(), sweep)
    assert ended.lines[0] == "halfopen 0.1.0: serve {port}, grace 30s, poll 2s; virtual clock; seed 7"
    assert ended.lines[2] == "one point, not a curve: no option sets the server's grace (--grace-arg)"


def test_sessions_to_look_into_have_their_command_in_their_first_line(swept: Swept) -> None:
    ended = swept(MadeUp())
    assert ended.line("2 to look into") == (
        "2 to look into (killed, missed, unproved): out/draws; the first line of each file is the command that shows "
        "it again"
    )
    first, second = sorted(Path("out/draws").iterdir())
    assert (first.name, second.name) == ("0003-freeze.toml", "0004-vanish.toml")
    assert first.read_text().splitlines()[0] == (
        "# again: halfopen run out/draws/0003-freeze.toml --clock virtual --seed 7 --grace 5s --poll 2s "
        "--detector bytes-acked --out out/draws/0003-freeze"
    )


def test_a_sweep_on_several_kernels_is_not_told_as_one_of_the_first(swept: Swept) -> None:
    ended = swept(MadeUp(kernels=("6.12.117", "6.1.115")))
    assert ended.line("run on") == ("run on several kernels, which may behave differently: 6.12.117, 6.1.115")
    assert (table()["kernel"], table()["congestion_control"]) == ("6.12.117, 6.1.115", "cubic")


def test_a_sweep_on_one_kernel_has_no_such_warning(swept: Swept) -> None:
    assert not [line for line in swept(MadeUp()).lines if line.startswith("run on")]


def test_a_real_run_that_disagrees_with_its_replay_is_exit_code_1(swept: Swept) -> None:
    assert swept(MadeUp(disagreeing)).code == 1
    assert table()["confirmations"]["disagreements"]


def test_a_sweep_that_proves_nothing_is_exit_code_3(swept: Swept) -> None:
    assert swept(MadeUp(lambda one: msgspec.structs.replace(one, outcome="unproved"))).code == 3


def test_interrupted_before_anything_is_known_it_says_so(swept: Swept) -> None:
    ended = swept(MadeUp(stop=KeyboardInterrupt()))
    assert ended.code == 130
    assert ended.lines[-2:] == [
        "no results: no batch was finished",
        "interrupted; continue with: halfopen grace --runs 3 --out out --resume",
    ]


def test_interrupted_it_says_what_it_knows_and_how_to_go_on_in_the_same_way(swept: Swept) -> None:
    ended = swept(MadeUp(stop=KeyboardInterrupt(), after=2), where=("--executor", "dask://host:1", "--jobs", "a b"))
    assert ended.code == 130
    assert ended.line("again:") == "again:   halfopen grace --runs 3"
    assert ended.lines[-1] == (
        "interrupted; continue with: halfopen grace --runs 3 --executor dask://host:1 --jobs 'a b' --out out --resume"
    )
    assert table()["draws"]["tried"] < 5
    assert sum(point["alive_runs"] + point["dead_runs"] for point in table()["points"]) > 0
    again = swept(MadeUp(), resume=True)
    assert again.code == 0
    assert re.fullmatch(r"resumed: 2 of \d batches are done", again.lines[2])
    assert table()["draws"]["tried"] == 5


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (
            GuestLostError("guest 1 ended"),
            69,
            "guest 1 ended; finished batches are kept, continue with: halfopen grace --runs 3 --out out --resume",
        ),
        (InputError("no such server"), 2, "no such server"),
    ],
)
def test_whatever_ends_it_what_is_known_is_told_and_written(
    swept: Swept, stop: Exception, code: int, said: str
) -> None:
    ended = swept(MadeUp(stop=stop, after=2))
    assert (ended.code, ended.err) == (code, f"halfopen: {said}\n")
    assert ended.line("again:")
    assert 0 < table()["draws"]["tried"] < 5


def test_where_nothing_is_known_only_the_reason_is_told(swept: Swept) -> None:
    ended = swept(MadeUp(stop=InputError("no such server")))
    assert (ended.code, ended.err) == (2, "halfopen: no such server\n")
    assert len(ended.lines) == 2
    assert not Path("out/grace.json").exists()


def test_why_it_ended_is_told_even_where_nothing_can_be_written_any_more(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("halfopen.grace.files.write", full)
    ended = swept(MadeUp(stop=GuestLostError("guest 1 ended"), after=2))
    assert ended.err.startswith("halfopen: guest 1 ended; finished batches are kept")


def test_where_too_little_is_known_it_says_how_to_know_more(swept: Swept) -> None:
    ended = swept(MadeUp(noticed), where=("--jobs", "2"))
    more = table()["more_runs"]
    # One session in three is alive.
    runs = -(-(3 + 3 * more) // 100) * 100
    assert ended.lines[-1] == f"more:    halfopen grace --runs {runs} --jobs 2 --out out --resume"


def test_where_enough_is_known_it_says_nothing_of_more(swept: Swept) -> None:
    ended = swept(MadeUp(noticed), most=0.9)
    assert not [line for line in ended.lines if line.startswith("more:")]


def test_with_nothing_to_resume_it_begins_and_says_so(swept: Swept) -> None:
    ended = swept(MadeUp(), resume=True)
    assert ended.code == 0
    assert ended.lines[2] == "--resume: there is no sweep in out; this is a new one"


def test_begun_anew_it_says_what_became_of_an_earlier_sweep(swept: Swept) -> None:
    swept(MadeUp())
    assert swept(MadeUp()).lines[2] == (
        "an earlier sweep is kept as out/grace-batches.jsonl.old; to resume it, rename it to grace-batches.jsonl"
    )


@pytest.mark.parametrize("name", ["draws", "grace.json"])
def test_a_call_that_is_refused_costs_no_earlier_sweep(swept: Swept, name: str) -> None:
    swept(MadeUp())
    kept = Path("out", store.FILE).read_bytes()
    place = Path("out", name)
    place.rename("elsewhere")
    # A file in place of a folder, and the other way round.
    place.mkdir() if name == "grace.json" else place.touch()
    ended = swept(MadeUp(stop=AssertionError("it was begun")))
    assert (ended.code, ended.lines) == (2, [])
    assert ended.err.count("\n") == 1
    assert Path("out", store.FILE).read_bytes() == kept


def test_a_real_run_is_one_more_than_the_session_that_is_replayed_for_all() -> None:
    replayed = [sweeps.tried(0, candidate) for candidate in range(3)]
    real = [msgspec.structs.replace(sweeps.tried(0, candidate), real=True, duration=24.0) for candidate in (0, 1)]
    assert sweep_display._summary([*replayed, *real], 9.3) == "3 runs in 9.3s, 31s of lab time each"


def test_how_many_runs_would_do_is_reckoned_by_those_that_prove_something(swept: Swept) -> None:
    """Half of the live ones prove nothing, so twice as many are needed."""
    assert _runs_of(swept(MadeUp(noticed), _TWO_LIVE, most=0.01)) == 800
    assert _runs_of(swept(MadeUp(lambda one: _half(noticed(one))), _TWO_LIVE, most=0.01)) == 1600


def test_why_sessions_prove_nothing_is_told_of_one(swept: Swept) -> None:
    ended = swept(MadeUp(lambda one: _half(noticed(one))), _TWO_LIVE)
    assert re.fullmatch(
        r"1 prove nothing \(\?\), such as \d{4}-outage-\w+: kept for 40s", ended.line("1 prove nothing")
    )


_TWO_LIVE = msgspec.structs.replace(SWEEP, draws=(*SWEEP.draws, sweeps.outage(5, 2.0, part="mix")))


def _half(one: Trial) -> Trial:
    """Make one of the two live ones prove nothing."""
    return msgspec.structs.replace(one, outcome="unproved") if one.draw == 5 else one


def _runs_of(ended: Ended) -> int:
    found = re.search(r"--runs (\d+)", ended.line("more:"))
    assert found is not None
    return int(found[1])


def test_it_says_how_long_it_takes_once_the_first_sessions_are_done(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "add", lambda _self, number, _seconds: (90.0, 40) if number == 1 else None)
    said = "takes about 90 s on this machine, judging by its first 40 sessions"
    assert said in swept(MadeUp()).lines
    more = swept(MadeUp(), notes=("a note",), enough=4900, resume=False).lines
    assert more[2] == "a note"
    per_session = 90.0 / len(SWEEP.draws)
    assert f"{said}; --runs 4900 would take about {minutes(per_session * 4900)}" in more
