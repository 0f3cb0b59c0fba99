"""The telling lines of endless output are kept, and no more than a bound."""

from __future__ import annotations

from halfopen.model.kept_output import AROUND, FIRST, LAST, MOST_AROUND, MOST_OF_TRACEBACKS, TRACEBACK, KeptOutput
from halfopen.model.timeline import Event

STEP = 0.1


def line(t: float, text: str) -> Event:
    return Event(t=t, kind="target", name="output", data={"text": text})


def texts(lines: list[Event]) -> list[str]:
    return [str(event.data["text"]) for event in lines]


def chat(output: KeptOutput, start: int, count: int) -> list[str]:
    """Print lines, one every tenth of a second; return those kept for good."""
    numbers = range(start, start + count)
    return [f"line {n}" for n in numbers if output.add(line(n * STEP, f"line {n}"))]


def test_the_first_lines_are_kept_and_the_last() -> None:
    output = KeptOutput()
    assert chat(output, 0, 10_000) == [f"line {n}" for n in range(FIRST)]
    assert texts(output.last) == [f"line {n}" for n in range(10_000 - LAST, 10_000)]
    assert output.printed == 10_000
    assert output.dropped == 10_000 - FIRST - LAST
    assert output.dropped_from == FIRST * STEP


def test_nothing_is_dropped_from_a_server_that_says_little() -> None:
    output = KeptOutput()
    chat(output, 0, FIRST + LAST)
    assert output.dropped == 0
    assert output.dropped_from is None


def test_lines_around_a_moment_outlive_later_ones() -> None:
    output = KeptOutput()
    chat(output, 0, 5000)
    before = output.mark(5000 * STEP)
    assert texts(before) == [f"line {n}" for n in range(5000 - round(AROUND / STEP), 5000)]
    after = chat(output, 5000, 5000)
    assert after == [f"line {n}" for n in range(5000, 5000 + round(AROUND / STEP) + 1)]
    assert not {*texts(before), *after} & {*texts(output.last)}


def test_no_moment_keeps_more_than_its_share() -> None:
    output = KeptOutput()
    for n in range(FIRST + 10 * MOST_AROUND):
        output.add(line(1.0, f"line {n}"))
    assert len(output.mark(1.0)) == MOST_AROUND
    kept = [output.add(line(1.1, "more")) for _ in range(10 * MOST_AROUND)]
    assert kept.count(True) == MOST_AROUND


def test_many_moments_keep_a_bounded_number_of_lines() -> None:
    output = KeptOutput()
    kept = 0
    for n in range(200):
        kept += sum(output.add(line(n, f"line {m}")) for m in range(1000))
        kept += len(output.mark(n))
    assert kept < 10_000


def test_a_traceback_in_the_middle_of_chatter_is_kept_whole() -> None:
    output = KeptOutput()
    chat(output, 0, FIRST)
    traceback = [TRACEBACK, '  File "app.py", line 1, in handler', "    raise KeyError", "KeyError"]
    assert [output.add(line(60, text)) for text in traceback] == [True] * 4
    assert not output.add(line(60, "and on it goes"))


def test_not_every_traceback_of_a_server_that_prints_nothing_else_is_kept() -> None:
    output = KeptOutput()
    chat(output, 0, FIRST)
    kept = sum(
        output.add(line(60, text)) for _ in range(MOST_OF_TRACEBACKS) for text in (TRACEBACK, "  File", "KeyError")
    )
    assert kept == MOST_OF_TRACEBACKS
