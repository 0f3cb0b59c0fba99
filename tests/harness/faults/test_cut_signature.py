"""Evidence that a path was dark, and near misses."""

from __future__ import annotations

from collections.abc import Iterable

from halfopen.faults import cut
from halfopen.model import timeline
from halfopen.model.timeline import Sample
from tests.harness.lines import event, flowing, sample, times

CUT = event(10.0, "fault", "cut", direction="both", means="nftables")


def dark(start: float, end: float, *, retransmitting: bool = True, answered: bool = False) -> list[Sample]:
    return [
        sample(
            t,
            outq=5000,
            unacked=3,
            total_retrans=int(t - start) if retransmitting else 0,
            last_ack_recv=0 if answered else int((t - start) * 1000),
        )
        for t in times(start, end)
    ]


def shown(samples: Iterable[Sample]) -> bool:
    return cut.signature(timeline.make(samples, [CUT])).shown


def test_packets_sent_again_and_no_answer_at_all_are_a_dark_path() -> None:
    assert cut.signature(timeline.make(dark(10, 20), [CUT])).what == "no answer for 9.9s, 9 packets sent again"
    assert shown(dark(10, 20))


def test_what_was_under_way_may_still_be_answered() -> None:
    assert shown([*flowing(10, 11), *dark(11, 20)])


def test_a_path_that_answers_is_not_dark_whether_or_not_bytes_get_through() -> None:
    assert not shown(flowing(10, 20))
    assert not shown(dark(10, 20, answered=True))
    assert not shown([*flowing(10, 15), *dark(15, 20)])


def test_a_path_on_which_nothing_was_sent_shows_nothing() -> None:
    assert not shown(dark(10, 20, retransmitting=False))
    assert not shown([sample(t, last_ack_recv=int((t - 10) * 1000)) for t in times(10, 20)])


def test_a_path_that_was_never_cut_or_a_socket_never_seen_shows_nothing() -> None:
    assert not cut.signature(timeline.make(dark(10, 20), [])).shown
    assert not cut.signature(timeline.make([], [CUT])).shown
