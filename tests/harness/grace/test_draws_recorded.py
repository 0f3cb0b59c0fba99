from __future__ import annotations

import random
from pathlib import Path

import pytest

from halfopen.errors import InputError
from halfopen.grace import draws, mix
from halfopen.grace.draws import STRETCH, RecordedLink
from halfopen.model.link_trace import parse
from halfopen.verdict.judge import Timing, hold

LONG = "time, delay, loss\n" + "".join(f"{n}, 20ms, {1 if n % 50 >= 40 else 0}\n" for n in range(301))


@pytest.fixture
def long() -> RecordedLink:
    return RecordedLink("trace-long", parse(LONG, "long.csv"))


def test_a_session_goes_over_a_stretch_and_is_looked_at_until_what_an_outage_costs_is_over(long: RecordedLink) -> None:
    for number in range(20):
        draw = draws.over_recorded_link(long, number, random.Random(number))
        scenario = mix.parsed(draw.scenario, draw.name, draw.name)
        [step] = scenario.steps
        assert (scenario.truth, draw.part, draw.cause) == ("alive", "mix", "trace-long")
        assert step.options.trace == long.trace.window(draw.facts["from_s"], STRETCH)
        assert 4 <= draw.facts["at_s"] <= 8
        assert hold(scenario, Timing(5, 2)) >= STRETCH + 2 * draw.facts["outage_s"] + 5


def test_stretches_are_from_anywhere(long: RecordedLink) -> None:
    starts = [draws.over_recorded_link(long, n, random.Random(n)).facts["from_s"] for n in range(200)]
    assert min(starts) < 30
    assert max(starts) > 210


def test_a_scenario_with_a_recorded_link_needs_what_the_link_does(long: RecordedLink) -> None:
    draw = draws.over_recorded_link(long, 0, random.Random(0))
    assert mix.parsed(draw.scenario, draw.name, draw.name).netem_fields == ["delay", "loss"]


def test_a_recording_is_called_by_its_files_name(tmp_path: Path) -> None:
    file = tmp_path / "ICE 4 Köln.csv"
    file.write_text(LONG)
    assert draws.load_links([file])[0].cause == "trace-ice-4-k-ln"


def test_a_name_is_no_longer_than_a_files_may_be(tmp_path: Path) -> None:
    file = tmp_path / f"{'long ' * 40}.csv"
    file.write_text(LONG)
    assert len(draws.load_links([file])[0].cause) < 50


def test_two_of_one_name_are_refused_with_both(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "train.csv", tmp_path / "b" / "Train.txt"]
    for file in files:
        file.parent.mkdir()
        file.write_text(LONG)
    assert [one.cause for one in draws.load_links(files[:1])] == ["trace-train"]
    for pair in (files, [files[0], Path(str(files[0]))]):
        with pytest.raises(InputError) as refused:
            draws.load_links(pair)
        both = f"--trace {pair[0]} and --trace {pair[1]}"
        assert str(refused.value) == f"{both} would both be called 'trace-train'; rename one"


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such trace file: .*nowhere\.csv$"):
        draws.load_links([tmp_path / "nowhere.csv"])
