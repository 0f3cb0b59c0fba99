"""Batches in guests, on the virtual clock. They need a guest kernel (make kernel)."""

from __future__ import annotations

import re
import subprocess
import sys

import msgspec
import pytest

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.grace import batch
from halfopen.grace.batch import BatchAnswer, BatchDone, BatchLost, BatchOrder
from halfopen.grace.confirmation import AGREES_WITHIN, agree
from halfopen.grace.replay import rule_of
from halfopen.grace.sweep import Batch, BatchResult, Candidate, Sweep
from halfopen.netns.lab_errors import GuestLostError
from halfopen.pod import detectors
from halfopen.scenario.target_spec import TargetSpec
from halfopen.spawn import peers
from halfopen.spawn.peers import Refused
from tests import leftovers
from tests.harness.grace import sweeps
from tests.machine import WITHOUT_NAMESPACES, needs_guest


def answer(order: Batch, *before: str) -> BatchAnswer:
    """Run a batch in a process whose command is prefixed by these words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "command", lambda module: [*before, sys.executable, "-P", "-m", module])
        return batch.run_in_process(BatchOrder(order), lambda: False)


def done(order: Batch) -> BatchResult:
    said = answer(order)
    assert isinstance(said, BatchDone), said
    return said.batched


def one_batch(sweep: Sweep, acting: int | None = None) -> Batch:
    """Put all draws of a sweep into one batch."""
    first = sweep.batches()[0]
    replayed = tuple(range(len(sweep.candidates))) if acting is None else ()
    return msgspec.structs.replace(first, draws=sweep.draws, acting=acting, replayed=replayed)


#: The longest grace here, in seconds. It exceeds the stall of a 4 s outage, which is 7 s. Each session is observed far
#: beyond grace, poll and fault.
LONGEST = 12.0
HOLD = 25.0


@pytest.fixture(scope="module")
def once() -> BatchResult:
    """Run a batch with a few draws of each kind, once."""
    return done(one_batch(small()))


def small() -> Sweep:
    draws = [
        sweeps.outage(0, 3.0, hold=HOLD),
        sweeps.outage(1, 8.0, hold=HOLD),
        sweeps.dead(2, "freeze", hold=HOLD),
        sweeps.dead(3, "vanish", hold=HOLD),
    ]
    return sweeps.sweep(draws, graces=(5.0, LONGEST))


@needs_guest
@pytest.mark.parametrize("detector", [name for name in plugins.names(detectors) if rule_of(name)])
def test_a_replay_says_what_the_detector_does(detector: str) -> None:
    """Record and replay each draw once, and run it once for each grace with the detector acting."""
    draws = [
        sweeps.outage(0, 4.0, hold=HOLD),
        sweeps.outage(1, 9.0, hold=HOLD),
        sweeps.outage(2, 1.0, hold=HOLD),
        sweeps.dead(3, "freeze", hold=HOLD),
        sweeps.dead(4, "vanish", hold=HOLD),
    ]
    candidates = tuple(Candidate(grace, poll, detector) for grace, poll in ((5.0, 2.0), (8.0, 3.5), (LONGEST, 0.7)))
    sweep = msgspec.structs.replace(sweeps.sweep(draws), candidates=candidates)
    replayed = {(one.draw, one.candidate): one for one in done(one_batch(sweep)).trials}
    real = [one for acting in range(3) for one in done(one_batch(sweep, acting)).trials]
    assert len(replayed) == len(real) == 15
    for one in real:
        other = replayed[one.draw, one.candidate]
        assert one.real
        assert not other.real
        assert one.outcome == other.outcome, (one, other)
        assert agree(other.reaped_at, one.reaped_at), (one, other)
        # The session's own samples agree.
        assert one.predicted
        assert agree(one.predicted_at, one.reaped_at), one
    outcome = {one.outcome for one in real}
    assert outcome == {"reaped", "kept"}


@needs_guest
def test_a_dead_client_is_noticed_within_the_grace_and_a_poll(once: BatchResult) -> None:
    sweep = small()
    frozen = [one for one in once.trials if sweep.draws[one.draw].cause == "freeze"]
    assert len(frozen) == len(sweep.candidates)
    for one in frozen:
        grace = sweep.candidates[one.candidate].grace
        assert one.outcome == "reaped"
        assert one.onset is not None
        assert one.reaped_at is not None
        assert grace <= one.reaped_at - one.onset <= grace + 2.0 + AGREES_WITHIN


@needs_guest
def test_the_same_batch_says_the_same(once: BatchResult) -> None:
    again = done(msgspec.structs.replace(one_batch(small()), number=9))
    assert again.trials == once.trials
    assert again.kernel == once.kernel


@needs_guest
def test_where_namespaces_are_refused_it_says_the_same(once: BatchResult) -> None:
    """Equal to within a microsecond or two, for the other folder's longer name."""
    said = answer(one_batch(small()), *WITHOUT_NAMESPACES)
    assert isinstance(said, BatchDone), said
    assert [one.outcome for one in said.batched.trials] == [one.outcome for one in once.trials]
    for one, other in zip(said.batched.trials, once.trials, strict=True):
        assert one.reaped_at == pytest.approx(other.reaped_at, abs=0.001)


@needs_guest
def test_what_does_not_happen_is_unproved() -> None:
    """An outage too short to lose anything would be survived by any detector."""
    tried = done(one_batch(sweeps.sweep([sweeps.outage(0, 0.02, hold=5)]))).trials
    assert [one.outcome for one in tried] == ["unproved"] * 3, tried


@needs_guest
def test_a_server_of_somebody_elses_is_told_its_grace() -> None:
    script = (
        "import sys, time; from websockets.sync.server import serve\n"
        "grace = float(sys.argv[sys.argv.index('--grace') + 1])\n"
        "def handler(ws):\n"
        "    end = time.monotonic() + grace\n"
        "    while time.monotonic() < end:\n"
        "        ws.send(b'x' * 1000); time.sleep(0.2)\n"
        "    ws.socket.shutdown(2)\n"
        "serve(handler, '0.0.0.0', int(sys.argv[1]), ping_interval=None).serve_forever()\n"
    )
    target = TargetSpec(server=f'{sys.executable} -c "{script}" {{port}}')
    draw = sweeps.dead(0, "freeze", hold=20)
    draw = msgspec.structs.replace(draw, scenario=draw.scenario.replace("[pod]", "").replace("slice_", "# slice_"))
    sweep = Sweep(7, (draw,), (Candidate(9.0, 2.0), Candidate(12.0, 2.0)), target, "--grace {grace}")
    ended = [done(each).trials[0] for each in sweep.batches()]
    assert [round(one.reaped_at or 0.0) for one in ended] == [9, 12], ended


@needs_guest
def test_a_batch_that_cannot_be_run_is_refused_in_a_line() -> None:
    draw = msgspec.structs.replace(sweeps.outage(0, 1.0), scenario="nonsense")
    said = answer(one_batch(sweeps.sweep([draw])))
    assert isinstance(said, Refused), said
    assert "0000-outage-1s" in said.why
    assert "\n" not in said.why


@needs_guest
def test_a_batch_that_there_is_no_room_for_is_lost_in_a_line() -> None:
    """Its scenarios are written first, and one is larger than a file may become (setrlimit(2))."""
    draw = msgspec.structs.replace(sweeps.outage(0, 1.0), scenario="#" * (1 << 24))
    said = answer(one_batch(sweeps.sweep([draw])), "prlimit", f"--fsize={1 << 22}")
    assert isinstance(said, BatchLost), said
    assert re.fullmatch(r"a batch could not be carried out: file too large( \(.*\))?", said.why)


def test_without_a_guest_kernel_it_is_said_how_to_get_one(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = answer(one_batch(sweeps.small()))
    assert isinstance(said, Refused), said
    assert "halfopen kernel build" in said.why


def test_a_batch_whose_starter_is_gone_does_nothing() -> None:
    ran = subprocess.run([sys.executable, "-P", "-m", "halfopen.grace.batch"], stdin=subprocess.DEVNULL, check=False)
    assert ran.returncode == 130


BATCH = sweeps.small().batches()[0]


def test_an_answer_is_a_batch_or_why_there_is_none() -> None:
    assert batch.batched(BatchDone(sweeps.batched(3))).number == 3
    with pytest.raises(InputError, match="no such"):
        batch.batched(Refused("no such server"))
    with pytest.raises(GuestLostError, match="out of memory"):
        batch.batched(BatchLost("out of memory"))


@needs_guest
@pytest.mark.parametrize("processes", [1, 3, 5])
def test_a_batch_that_is_over_is_gone(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """It is ended at so many processes: as it begins, as its guest boots, as a session runs."""
    monkeypatch.setattr(batch, "_INTERVAL", 0.01)
    before = leftovers.take_stock()
    with pytest.raises(batch.Interrupted):
        batch.run_in_process(BatchOrder(BATCH), lambda: leftovers.count_since(before) >= processes)
    assert leftovers.since(before) == {}


def test_a_bug_is_not_taken_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "command", lambda _: ["/bin/false"])
    with pytest.raises(RuntimeError, match="exit code 1"):
        batch.run_in_process(BatchOrder(BATCH), lambda: False)
