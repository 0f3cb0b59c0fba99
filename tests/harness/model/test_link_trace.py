from __future__ import annotations

import pytest

from halfopen.errors import InputError
from halfopen.model.link_trace import Trace, parse

TRAIN = """
# A train, by somebody's logger.
time, rate, delay, loss
100s, 4Mbit, 40ms, 0%
110s, 1Mbit, 80ms, 1%   # into a valley
120.5s, 0bit, 80ms, 0%
128s, 2Mbit, 50ms
150s
"""
BARE = "time,rate,delay,loss\n0,4e6,0.04,0\n10,1000000,.08,0.01\n20.5,0,0.08,0\n28,2e6,0.05\n50"


@pytest.fixture
def train() -> Trace:
    return parse(TRAIN, "train.csv")


def test_time_begins_with_the_first_line_and_ends_with_the_last(train: Trace) -> None:
    assert [moment.at for moment in train.moments] == [0.0, 10.0, 20.5, 28.0]
    assert train.length == 50.0


def test_what_a_line_says_holds_both_ways(train: Trace) -> None:
    valley = train.moments[1].link
    assert valley.to_client == valley.to_server
    assert (valley.to_client.rate, valley.to_client.delay, valley.to_client.loss) == (1e6, 0.08, 0.01)


def test_bare_numbers_are_seconds_bits_a_second_and_shares_of_one(train: Trace) -> None:
    assert [moment.link for moment in parse(BARE, "bare.csv").moments] == [moment.link for moment in train.moments]


def test_a_rate_of_nothing_lets_nothing_through(train: Trace) -> None:
    tunnel = train.moments[2]
    assert tunnel.is_dark
    assert (tunnel.link.to_client.loss, tunnel.link.to_client.rate) == (1.0, 0.0)
    assert train.longest_dark == 7.5


def test_dark_lines_one_after_the_other_are_one_darkness() -> None:
    assert parse("time,loss\n0,0\n1,1\n3,100%\n6,0\n7,1\n8", "t").longest_dark == 5


def test_a_column_may_be_of_one_direction() -> None:
    [moment] = parse(
        "time, delay, to_client.rate, to_server.rate, to_client.queue\n0, 20ms, 4Mbit, 1Mbit, 2s\n9", "t"
    ).moments
    assert (moment.link.to_client.rate, moment.link.to_server.rate) == (4e6, 1e6)
    assert (moment.link.to_client.queue, moment.link.to_server.queue) == (2.0, 0.0)
    assert moment.link.to_client.delay == moment.link.to_server.delay == 0.02


def test_what_is_left_out_is_no_limit(train: Trace) -> None:
    assert train.moments[3].link.to_client.loss == 0.0


def test_a_trace_written_as_text_is_the_same_trace(train: Trace) -> None:
    assert parse(train.text, "again") == train
    empty = parse("time, loss\n0\n3, \n5", "t")
    assert parse(empty.text, "again") == empty


def test_a_stretch_begins_with_what_was_in_force(train: Trace) -> None:
    stretch = train.window(15.0, 10.0)
    assert stretch.length == 10.0
    assert [(moment.at, moment.is_dark) for moment in stretch.moments] == [(0.0, False), (5.5, True)]
    assert stretch.moments[0].link == train.moments[1].link
    assert stretch.longest_dark == 4.5
    assert parse(stretch.text, "again") == stretch


def test_a_stretch_ends_with_the_trace(train: Trace) -> None:
    assert train.window(45.0, 60.0).length == 5.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "t: empty; the first line names the columns"),
        ("rate, time\n0,1\n1", "t: line 1: the first column is 'time', got 'rate'"),
        ("time, rat\n0,1\n1", "t: line 1: unknown column 'rat'; did you mean 'rate'?"),
        ("time\n0\n1", "t: line 1: columns beside 'time', each once, got 'time'"),
        ("time, loss, loss\n0\n1", "t: line 1: columns beside 'time', each once, got 'time, loss, loss'"),
        ("time, loss\n0, 1", "t: needs two lines below the columns' names at least"),
        ("time, loss\n1, 0\n1, 0", "t: line 3: time '1' is not later than that of the line before"),
        ("time, loss\nsoon, 0\n1", "t: line 2: time: a duration is a number and a unit: got 'soon'"),
        ("time, loss\n0, 1, 2\n1", "t: line 2: 3 values for 2 columns"),
        ("time, loss\n# a\n\n0, 2\n1", "t: line 4: key 'loss': a share is at most 100%: got '200%'"),
        ("time, rate\n0, fast\n1", "t: line 2: key 'rate': a link's rate is a number and a unit: got 'fast'"),
        ("time, rate\n0, -5\n1", "t: line 2: key 'rate': a link's rate is a number and a unit: got '-5'"),
        ("time, jitter\n0, 5ms\n1", "t: line 2: jitter of 5ms needs a delay to vary"),
        ("time, loss\n5, 0\n2, 0\n9", "t: line 3: time '2' is not later than that of the line before"),
        ("time, loss\n0, 0\n0.0000001, 0\n9", "t: line 3: time '0.0000001' is not later than that of the line before"),
        ("time, loss\n0us, 0\n0.4us, 0\n9", "t: line 3: time '0.4us' is not later than that of the line before"),
        ("time, loss\n0, 0\n1e30", "t: line 3: time: a duration is at most 43200min: got '1e30'"),
        ("time, loss\n-1, 0\n1", "t: line 2: time: a duration is a number and a unit: got '-1'"),
        ("time, loss\n0, nan\n1", "t: line 2: key 'loss': a share is a number and a unit: got 'nan'"),
        ("time, delay\n0, inf\n1", "t: line 2: key 'delay': a duration is a number and a unit: got 'inf'"),
        ("time, delay\n0, 1e400\n1", "t: line 2: key 'delay': a duration is a number and a unit: got '1e400'"),
        ("time, rate\n0, 0.0.0bit\n1", "t: line 2: key 'rate': a link's rate is a number and a unit: got '0.0.0bit'"),
        ("time, rate\n0, 0parsec\n1", "t: line 2: key 'rate': unknown unit 'parsec' in '0parsec'"),
        ("x" * 2_000_000, "t: line 1: 2,000,000 characters, which are no line of a table"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text, "t")
    assert str(refused.value).startswith(told)
    assert "\n" not in str(refused.value)


def test_a_window_may_begin_and_end_anywhere() -> None:
    """A recording with a line every millisecond, whose decimals may not add up exactly."""
    lines = "".join(f"{n / 1000:.3f},{n % 7 + 1}Mbit\n" for n in range(2000))
    recording = parse(f"time,rate\n{lines}2.0\n", "fine")
    for start in range(0, 1000, 41):
        window = recording.window(start / 1000 + 0.0005, 1.0)
        assert parse(window.text, "window").length == 1.0
        assert window.moments[0].at == 0.0
        assert window.moments[0].cells == recording.moments[start].cells


def test_a_link_that_loses_nearly_everything_is_dark() -> None:
    recording = parse("time,loss\n0,1%\n10,99%\n30,50%\n40,0%\n50\n", "bad")
    assert recording.longest_dark == 20.0
