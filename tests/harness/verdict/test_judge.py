"""The judge on hand-written timelines: every way to pass, to fail, and to prove nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from halfopen.verdict.judge import Timing, Verdict, judge
from tests.harness.lines import Part, event, flowing, line, orphaned, progress, status, stuck

TERMS = Timing(grace=30, poll=2)
#: Different from the hold of 78 s, so that a test says which of them it means.
REAPED_AT = 36.0


def scenario(name: str) -> Scenario:
    (found,) = suites.find([name])
    return found


def verdict(name: str, timeline: Timeline) -> Verdict:
    return judge(scenario(name), timeline, TERMS)


def frozen_at(t: float) -> list[Part]:
    return [flowing(0, t), progress(0, t, False), event(t, "fault", "begun", step=0, fault="freeze")]


def frozen(*more: Part, reaped_at: float = REAPED_AT) -> list[Part]:
    return [
        *frozen_at(5),
        stuck(5, reaped_at),
        orphaned(reaped_at, reaped_at + 2),
        event(reaped_at, "target", "dead_client_reaped", reason="send_stall"),
        status(1, listed=True),
        status(reaped_at + 1, listed=False, session_threads=[]),
        *more,
    ]


def test_a_frozen_client_reaped_in_time_passes() -> None:
    seen = verdict("frozen", line(*frozen()))

    assert (seen.word, seen.klass, seen.found.outcome) == ("passed", "true_reap", "reaped")
    assert seen.detection == pytest.approx(31, abs=0.1)
    assert seen.found.stuck_bytes == 1000
    assert seen.found.orphan.bytes == 1000
    assert seen.found.orphan.seconds == pytest.approx(2, abs=0.1)
    assert seen.why.startswith("reaped 31s after the stall began at 5.0s (send_stall)")


def test_a_frozen_client_reaped_too_late_fails() -> None:
    seen = verdict("frozen", line(*frozen(reaped_at=39.0)))
    assert (seen.word, seen.klass) == ("failed", "true_reap")
    assert seen.why == "session reaped 34.0s after the stall, expected within 33s"


def test_a_frozen_client_never_reaped_is_missed_and_fails() -> None:
    seen = verdict(
        "frozen",
        line(
            *frozen_at(5),
            stuck(5, 83),
            status(1, listed=True),
            status(83, listed=True),
        ),
    )
    assert (seen.word, seen.klass) == ("failed", "missed")
    assert seen.why == "session still held 78s after the freeze began: 1 kB queued, nothing acknowledged since 5.0s"
    assert seen.detection is None


def test_a_dead_session_that_the_servers_list_has_let_go_of_is_held_all_the_same_and_said_so() -> None:
    listed = (status(1, listed=True), status(83, listed=False))
    seen = verdict("frozen", line(*frozen_at(5), stuck(5, 83), *listed))
    assert seen.word == "failed"
    assert "though the server's own list no longer shows it: " in seen.why


def test_a_client_that_did_not_freeze_proves_nothing() -> None:
    seen = verdict("frozen", line(*frozen_at(5), flowing(5, 83)))
    assert seen.word == "inconclusive"
    assert "was to freeze, but it went on acknowledging" in seen.why


def test_a_silent_network_is_not_taken_for_a_frozen_client() -> None:
    dark = [
        *frozen_at(5),
        stuck(5, 83, unacked=6, snd_wnd=65536, backoff=6),
    ]
    seen = verdict("frozen", line(*dark))
    assert seen.word == "inconclusive"
    assert "6 packets got no answer" in seen.why


def test_an_open_window_is_not_taken_for_a_frozen_client() -> None:
    open_window = [
        *frozen_at(5),
        stuck(5, 83, snd_wnd=65536),
    ]
    assert verdict("frozen", line(*open_window)).word == "inconclusive"


def test_a_reap_before_the_fault_is_a_false_one() -> None:
    seen = verdict("frozen", line(flowing(0, 2), orphaned(2, 3), status(1, listed=True)))
    assert (seen.word, seen.klass) == ("failed", "false_reap")
    assert "a live client was reaped at 2.0s" in seen.why


def test_the_wrong_reason_fails() -> None:
    timeline = line(*(part for part in frozen() if getattr(part, "kind", "") != "target"))
    assert verdict("frozen", timeline).word == "passed"  # a server that gives no reason
    wrong = line(*frozen(event(35.9, "target", "dead_client_reaped", reason="peer_closed")))
    seen = verdict("frozen", wrong)
    assert (seen.word, seen.why) == ("failed", "the server says 'peer_closed', expected 'send_stall'")


@pytest.mark.parametrize(
    ("books", "says"),
    [
        (status(38, listed=True, lock_held=False), "the session is still listed though its socket is gone"),
        (status(38, listed=False, lock_held=True), "the seat is still taken though its socket is gone"),
        (status(38, listed=False, session_threads=["runner-s1"]), "live on though its socket is gone: runner-s1"),
        (event(38, "registry", "status", problem="the pod could not be asked: x"), "the pod could not be asked: x"),
    ],
)
def test_a_reap_that_the_servers_own_books_do_not_follow_fails(books: Event, says: str) -> None:
    seen = verdict("frozen", line(*frozen(books)))
    assert seen.word == "failed"
    assert says in seen.why


def test_a_list_that_never_showed_the_session_fails() -> None:
    parts = [part for part in frozen() if getattr(part, "kind", "") != "registry"]
    seen = verdict("frozen", line(*parts, status(38, listed=False)))
    assert (seen.word, seen.why) == ("failed", "the server's own list never showed the session")


def test_a_session_not_looked_at_for_as_long_as_asked_proves_nothing() -> None:
    seen = verdict("active", kept(flowing(0, 40), acknowledging=True))
    assert (seen.word, seen.why) == ("inconclusive", "nothing is proved: looked for 40s only, of 78s")


def kept(samples: list[Sample], *, acknowledging: bool, drops: dict[str, int] | None = None) -> Timeline:
    end = samples[-1].t
    return line(
        samples,
        progress(0, end, acknowledging),
        status(1, listed=True),
        status(end, listed=True),
        event(end, "target", "slices_dropped", drops=drops or {}),
    )


@pytest.mark.parametrize(
    ("name", "acknowledging", "outq", "drops"),
    [("active", True, 0, {}), ("paused", False, 0, {}), ("backpressured", True, 9000, {"window": 3})],
)
def test_a_live_client_that_is_kept_passes(name: str, acknowledging: bool, outq: int, drops: dict[str, int]) -> None:
    seen = verdict(name, kept(flowing(0, 78, outq=outq), acknowledging=acknowledging, drops=drops))
    assert (seen.word, seen.klass, seen.detection) == ("passed", "true_keep", None)
    assert seen.found.stall is None


@pytest.mark.parametrize("name", ["active", "paused", "backpressured"])
def test_a_live_client_that_is_reaped_fails(name: str) -> None:
    timeline = line(flowing(0, 4), orphaned(4, 5), event(4, "target", "dead_client_reaped", reason="send_stall"))
    seen = verdict(name, timeline)
    assert (seen.word, seen.klass) == ("failed", "false_reap")
    assert seen.why == "a live client was reaped at 4.0s (send_stall): it had acknowledged 395 kB until then"


@pytest.mark.parametrize(
    ("name", "timeline", "says"),
    [
        ("active", kept(flowing(0, 78), acknowledging=False), "the client's application acknowledged nothing"),
        ("paused", kept(flowing(0, 78), acknowledging=True), "the client's application acknowledged"),
        ("paused", kept(stuck(0, 78), acknowledging=False), "nothing was acknowledged for 78"),
        ("paused", kept([*flowing(0, 30), *stuck(30, 78)], acknowledging=False), "nothing was acknowledged for 48"),
        ("paused", kept(stuck(0, 78, outq=0), acknowledging=False), "the path was not tried"),
        ("backpressured", kept(flowing(0, 78), acknowledging=True, drops={"window": 1}), "bytes queued in 0 of"),
        ("backpressured", kept(flowing(0, 78, outq=9), acknowledging=True), "no slice was shed for 'window'"),
    ],
)
def test_a_live_client_that_was_not_what_it_should_be_proves_nothing(name: str, timeline: Timeline, says: str) -> None:
    seen = verdict(name, timeline)
    assert seen.word == "inconclusive"
    assert says in seen.why


def test_a_session_open_but_gone_from_the_list_fails() -> None:
    timeline = line(flowing(0, 78), progress(0, 78, True), status(1, listed=True), status(78, listed=False))
    seen = verdict("active", timeline)
    assert (seen.word, seen.why) == ("failed", "the session is no longer listed though its socket is open")


def closed(ended_at: float, code: int | None = 1000) -> Timeline:
    return line(
        flowing(0, 5),
        progress(0, 5, True),
        event(5, "fault", "begun", step=0, fault="close"),
        event(5.01, "client", "closing", code=1000),
        flowing(5, ended_at),
        orphaned(ended_at, ended_at + 0.05, outq=0),
        event(ended_at + 0.01, "client", "ended", how="closed", code=code),
        status(1, listed=True),
        status(ended_at + 1, listed=False),
    )


def test_a_clean_close_passes() -> None:
    seen = verdict("clean_close", closed(5.1))
    assert (seen.word, seen.klass, seen.found.outcome) == ("passed", "closed", "closed")


def test_a_close_that_takes_too_long_fails() -> None:
    seen = verdict("clean_close", closed(9.0))
    assert (seen.word, seen.why) == ("failed", "session closed 4.0s after the fault, expected within 2s")


def test_a_server_that_does_not_answer_a_close_frame_and_keeps_the_session_fails() -> None:
    timeline = line(
        flowing(0, 40),
        progress(0, 40, True),
        event(5, "fault", "begun", step=0, fault="close"),
        event(5.01, "client", "closing", code=1000),
        status(1, listed=True),
        status(40, listed=True),
    )
    seen = verdict("clean_close", timeline)
    assert (seen.word, seen.found.outcome) == ("failed", "kept")
    assert seen.why == "session still held 35s after the close began, expected it closed"


def test_a_close_frame_from_the_server_ends_the_session_whatever_its_socket_does() -> None:
    timeline = line(flowing(0, 78), progress(0, 78, True), event(3, "client", "close_received", code=1001))
    seen = verdict("active", timeline)
    assert (seen.word, seen.klass, seen.found.ended_at) == ("failed", "false_reap", 3)


def test_a_socket_that_just_goes_is_an_end() -> None:
    seen = verdict("active", line(flowing(0, 40), progress(0, 40, True), event(40, "kernel", "gone")))
    assert (seen.word, seen.klass, seen.found.ended_at) == ("failed", "false_reap", 40)


def test_a_half_close_is_not_taken_for_an_end() -> None:
    whole = line(*frozen())
    held = [msgspec.structs.replace(sample, orphan=False) for sample in whole.samples]
    seen = verdict("frozen", Timeline(tuple(held), whole.events))
    assert (seen.word, seen.why) == ("failed", "the server ended its side at 36.0s but still holds the socket")


def test_a_stall_that_began_late_was_looked_at_too_short_to_fail_anybody() -> None:
    late = line(*frozen_at(5), flowing(5, 60), stuck(60, 83), progress(5, 83, False))
    seen = verdict("frozen", late)
    assert (seen.word, seen.why) == ("inconclusive", "nothing is proved: looked for 23s only, of 33s")


def test_of_a_client_that_was_not_to_acknowledge_it_is_said_what_its_application_received() -> None:
    quiet = event(0.0, "client", "opened", acknowledging=False)
    seen = verdict("active", line(quiet, flowing(0, 78), progress(0, 78, True)))
    assert seen.word == "passed"
    assert "application receiving up to 7." in seen.why


def test_an_application_that_falls_silent_does_not_count_as_acknowledging() -> None:
    seen = verdict(
        "active",
        line(
            flowing(0, 78),
            progress(0, 30, True),
            [event(t, "client", "progress", received=1, acknowledged=3_000_000) for t in range(31, 78)],
        ),
    )
    assert seen.word == "inconclusive"
    assert "application read nothing in the last" in seen.why


def test_the_wedge_is_kept_and_says_what_it_costs() -> None:
    seen = verdict(
        "wedge",
        line(
            *frozen_at(5),
            stuck(5, 785),
            status(1, listed=True),
            status(785, listed=True, healthy=True),
        ),
    )
    assert (seen.word, seen.klass) == ("passed", "missed")
    assert "13min after the fault, 1 kB stuck, the session registered, the seat taken, /healthz healthy" in seen.why


def test_a_wedge_that_ends_fails() -> None:
    seen = verdict("wedge", line(*frozen()))
    assert (seen.word, seen.why) == ("failed", "session reaped at 36.0s (send_stall), expected it kept")


def test_trouble_in_the_lab_proves_nothing() -> None:
    seen = verdict("active", line(event(0, "lab", "trouble", what="the client was refused: HTTP 404")))
    assert (seen.word, seen.why) == ("inconclusive", "the client was refused: HTTP 404")


def test_a_server_that_ends_by_itself_fails() -> None:
    seen = verdict("active", line(flowing(0, 5), event(5, "target", "exited", code=-11, said="")))
    assert seen.word == "failed"
    assert "the server ended by itself with exit code -11" in seen.why


def test_no_socket_proves_nothing() -> None:
    assert verdict("active", Timeline()).word == "inconclusive"


_PARTS = st.lists(
    st.tuples(st.sampled_from(["flow", "stuck", "orphan", "gap"]), st.floats(0.1, 20)), min_size=1, max_size=6
)


@given(_PARTS, st.sampled_from(["frozen", "active", "paused", "backpressured", "clean_close", "wedge"]), st.booleans())
def test_no_timeline_passes_without_its_signature_or_detects_before_the_onset(
    parts: list[tuple[str, float]], name: str, begun: bool
) -> None:
    makers: dict[str, Callable[[float, float], list[Sample]]] = {
        "flow": flowing,
        "stuck": stuck,
        "orphan": orphaned,
        "gap": lambda *_: [],
    }
    samples: list[Sample] = []
    t = 0.0
    for kind, length in parts:
        samples += makers[kind](t, t + length)
        t += length
    events = [event(5, "fault", "begun", step=0, fault="freeze")] if begun else []

    seen = verdict(name, line(samples, events))

    assert seen.detection is None or seen.detection >= 0
    if seen.word == "passed":
        assert name in {"frozen", "wedge"}  # the others' signatures need messages from the client
        assert begun
        assert any(s.t > 5 and s.outq and not s.snd_wnd for s in samples)


def test_classes_are_one_for_each_cell_of_truth_and_outcome() -> None:
    reaped = line(*frozen())
    held = line(*frozen_at(5), stuck(5, 83))
    cells = {
        (name, timeline is reaped): verdict(name, timeline).klass
        for name, timeline in itertools.product(["frozen", "active"], [reaped, held])
    }
    assert cells == {
        ("frozen", True): "true_reap",
        ("frozen", False): "missed",
        ("active", True): "false_reap",
        ("active", False): "true_keep",
    }
