from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model import evidence
from halfopen.model.timeline import Sample, Timeline
from tests.harness.lines import STEP, flowing, orphaned, sample, stuck


def test_a_stall_begins_with_the_last_acknowledgement_while_bytes_were_queued() -> None:
    stall = evidence.last_stall([*flowing(0, 5), *stuck(5, 40)])

    assert stall is not None
    assert stall.onset == pytest.approx(5, abs=STEP)
    assert stall.seconds == pytest.approx(35, abs=2 * STEP)


def test_the_kernels_own_word_dates_the_acknowledgement_between_two_samples() -> None:
    before = sample(1.00, bytes_acked=1, outq=10)
    after = sample(1.05, bytes_acked=2, outq=10, last_ack_recv=30)
    later = sample(2.00, bytes_acked=2, outq=10, last_ack_recv=980)

    stall = evidence.last_stall([before, after, later])

    assert stall is not None
    assert stall.onset == pytest.approx(1.02)


def test_an_acknowledgement_is_never_dated_before_the_sample_that_did_not_show_it() -> None:
    stall = evidence.last_stall(
        [sample(1.00, bytes_acked=1, outq=9), sample(1.05, bytes_acked=2, outq=9, last_ack_recv=400)]
    )
    assert stall is not None
    assert stall.onset == 1.00


def test_bytes_first_queued_long_after_the_last_acknowledgement_begin_the_stall() -> None:
    silent = [sample(t / 10, bytes_acked=7) for t in range(100)]
    stall = evidence.last_stall([*silent, *(sample(10 + t / 10, bytes_acked=7, outq=5) for t in range(50))])
    assert stall is not None
    assert stall.onset == 10


def test_an_empty_queue_is_no_stall_however_long_nothing_is_acknowledged() -> None:
    assert evidence.last_stall([sample(t, bytes_acked=7) for t in range(100)]) is None


def test_a_full_queue_that_is_acknowledged_is_no_stall_worth_the_name() -> None:
    longest = evidence.longest_stall(flowing(0, 20, outq=4000))
    assert longest is not None
    assert longest.seconds <= STEP


def test_a_stall_that_ended_is_not_the_last_one() -> None:
    samples = [*flowing(0, 2), *stuck(2, 8), *flowing(8, 10)]
    assert evidence.last_stall(samples) is None
    longest = evidence.longest_stall(samples)
    assert longest is not None
    assert longest.seconds == pytest.approx(6, abs=2 * STEP)


def test_no_samples_show_nothing() -> None:
    assert evidence.last_stall([]) is None
    assert evidence.acknowledged([]) == 0
    assert not evidence.lives(Timeline()).shown


def test_what_lingers_in_the_kernel_after_the_end_is_not_taken_for_an_open_socket() -> None:
    timeline = Timeline((*flowing(0, 1), *orphaned(1, 2)))
    assert evidence.established(timeline) == tuple(flowing(0, 1))


def test_a_peer_that_stopped_acknowledging_halfway_does_not_count_as_acknowledging() -> None:
    assert evidence.lives(Timeline(tuple(flowing(0, 40)))).shown
    assert not evidence.lives(Timeline((*flowing(0, 20), *stuck(20, 40)))).shown
    assert not evidence.lives(Timeline(tuple(stuck(0, 40)))).shown


_SAMPLES = st.lists(
    st.builds(
        lambda gap, acked, outq: (gap, acked, outq),
        st.floats(0.01, 5),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(_SAMPLES)
def test_stalls_are_ordered_apart_and_never_of_negative_length(steps: list[tuple[float, int, int]]) -> None:
    t, acked, samples = 0.0, 0, list[Sample]()
    for gap, more, outq in steps:
        t, acked = t + gap, acked + more
        samples.append(sample(t, bytes_acked=acked, outq=outq))

    found = list(evidence.stalls(samples))

    assert all(stall.seconds >= 0 for stall in found)
    assert all(s.outq for stall in found for s in stall.samples)
    assert all(len({s.bytes_acked for s in stall.samples}) == 1 for stall in found)
    assert [stall.onset for stall in found] == sorted(stall.onset for stall in found)
