from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from halfopen.errors import InputError
from halfopen.grace import store
from halfopen.grace.sweep import BATCH_SIZE, Candidate
from halfopen.scenario.target_spec import TargetSpec
from tests.harness.grace import sweeps

SWEEP = sweeps.small()


def filled(out: Path) -> Path:
    """Write the file of a sweep that was stopped after two batches."""
    with store.opened(out, SWEEP, resume=False) as kept:
        for number in (0, 2):
            kept.append(sweeps.batched(number, number))
    return out / store.FILE


def test_what_is_done_is_found_again(tmp_path: Path) -> None:
    filled(tmp_path)
    with store.opened(tmp_path, SWEEP, resume=True) as kept:
        assert kept.done == {0: sweeps.batched(0, 0), 2: sweeps.batched(2, 2)}


def test_what_a_sweep_of_fewer_draws_has_done_is_done_for_one_of_more(tmp_path: Path) -> None:
    filled(tmp_path)
    more = sweeps.sweep([*SWEEP.draws, *(sweeps.outage(n, 3.0, part="mix") for n in range(10, 10 + 2 * BATCH_SIZE))])
    more = msgspec.structs.replace(more, confirm=SWEEP.confirm)
    were = {batch.fingerprint: batch for batch in SWEEP.batches()}
    the_same = {batch.number: were[batch.fingerprint] for batch in more.batches() if batch.fingerprint in were}
    with store.opened(tmp_path, more, resume=True) as kept:
        (number,) = kept.done
        assert the_same[number].number == 2
        assert kept.done[number] == sweeps.batched(number, 2)
        assert [batch.number for batch in kept.todo] == [n for n in range(len(kept.batches)) if n != number]


def test_without_resuming_it_is_begun_anew_and_what_was_there_is_kept_aside(tmp_path: Path) -> None:
    file = filled(tmp_path)
    was = file.read_bytes()
    with store.opened(tmp_path, SWEEP, resume=False) as kept:
        assert not kept.done
        assert kept.before == tmp_path / "grace-batches.jsonl.old"
        assert kept.before.read_bytes() == was
        kept.append(sweeps.batched(1, 1))
    with store.opened(tmp_path, SWEEP, resume=True) as kept:
        assert kept.done.keys() == {1}
    (tmp_path / "grace-batches.jsonl.old").rename(file)
    with store.opened(tmp_path, SWEEP, resume=True) as kept:
        assert kept.done.keys() == {0, 2}


def test_of_what_has_no_batches_nothing_is_kept_aside(tmp_path: Path) -> None:
    for _ in range(2):
        with store.opened(tmp_path, SWEEP, resume=False) as kept:
            assert kept.before is None
    assert [path.name for path in tmp_path.iterdir()] == [store.FILE]


@pytest.mark.parametrize("resume", [False, True])
def test_a_check_that_refuses_costs_nothing(tmp_path: Path, resume: bool) -> None:
    file = filled(tmp_path)
    before = file.read_bytes()

    def refuse() -> None:
        raise InputError("not here")

    with pytest.raises(InputError, match="not here"), store.opened(tmp_path, SWEEP, resume=resume, check=refuse):
        pass
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_refused_is_not_checked(tmp_path: Path) -> None:
    """A check makes room for the results of a sweep, so refuse first."""
    filled(tmp_path)
    other = msgspec.structs.replace(SWEEP, seed=8)
    with (
        pytest.raises(InputError, match="of another sweep"),
        store.opened(tmp_path, other, resume=True, check=lambda: pytest.fail("it was")),
    ):
        pass


def test_none_that_was_put_aside_is_lost(tmp_path: Path) -> None:
    for nth in range(3):
        with store.opened(tmp_path, SWEEP, resume=False) as kept:
            kept.append(sweeps.batched(0, nth))
    with store.opened(tmp_path, SWEEP, resume=False) as kept:
        assert kept.before == tmp_path / "grace-batches.jsonl.old3"
    assert len(list(tmp_path.glob("grace-batches.jsonl.old*"))) == 3


def test_there_need_be_nothing_to_resume(tmp_path: Path) -> None:
    with store.opened(tmp_path / "new", SWEEP, resume=True) as kept:
        assert not kept.done


def test_wherever_the_file_is_cut_off_whole_batches_are_kept(tmp_path: Path) -> None:
    file = filled(tmp_path)
    text = file.read_bytes()
    # At and beside each end of a line, and at some places within one.
    for length in (n for n in range(len(text)) if n % 10 == 0 or b"\n" in text[max(0, n - 2) : n + 2]):
        file.write_bytes(text[:length])
        with store.opened(tmp_path, SWEEP, resume=True) as kept:
            assert len(kept.done) == max(0, text[:length].count(b"\n") - 1)
            for number in (0, 2):
                kept.append(sweeps.batched(number, number))
        assert file.read_bytes() == text


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (msgspec.structs.replace(SWEEP, seed=8), "it has seed 7, not 8"),
        (
            msgspec.structs.replace(SWEEP, candidates=(Candidate(9.0, 2.0, "outq"),)),
            "bytes-acked grace 20s poll 2s, not outq grace 9s poll 2s",
        ),
        (msgspec.structs.replace(SWEEP, target=TargetSpec(server="serve")), "it has target pod, not serve"),
        (
            msgspec.structs.replace(SWEEP, target=TargetSpec(path="/other")),
            "it has no whole batch of 20 of these draws (other mix",
        ),
        (sweeps.sweep([sweeps.outage(0, 9.0)], confirm=0.2), "it has no whole batch of 20 of these draws"),
    ],
)
def test_another_sweeps_batches_are_refused_with_what_differs(tmp_path: Path, other: object, said: str) -> None:
    before = filled(tmp_path).read_bytes()
    with pytest.raises(InputError) as refusal, store.opened(tmp_path, other, resume=True):  # type: ignore[arg-type]
        pass
    assert said in str(refusal.value)
    assert (tmp_path / store.FILE).read_bytes() == before


def test_what_the_disk_has_no_room_for_is_said_and_no_part_of_it_is_kept(tmp_path: Path) -> None:
    """In another process, since the limit that stands for a full disk (RLIMIT_FSIZE) applies to a process."""
    file = filled(tmp_path)
    before = file.read_bytes()
    third = (
        "import resource; from pathlib import Path\n"
        "from halfopen.grace import store; from tests.harness.grace import sweeps\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 40}, {len(before) + 40}))\n"
        f"with store.opened(Path({str(tmp_path)!r}), sweeps.small(), resume=True) as kept:\n"
        "    kept.append(sweeps.batched(1, 1))"
    )
    ran = subprocess.run([sys.executable, "-c", third], capture_output=True, text=True, check=False)
    assert f"cannot write {file}: no space left on device; make room, then go on with --resume" in ran.stderr
    assert file.read_bytes() == before


def test_something_elses_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / store.FILE).write_text("a diary\n")
    with pytest.raises(InputError, match="is not a file of halfopen"), store.opened(tmp_path, SWEEP, resume=True):
        pass


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"), store.opened(tmp_path / "file", SWEEP, resume=False):
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_two_at_once_are_refused(tmp_path: Path, resume: bool) -> None:
    """In another process, since two of one process would be a bug of ours."""
    second = (
        "from pathlib import Path; from halfopen.grace import store; from tests.harness.grace import sweeps\n"
        f"with store.opened(Path({str(tmp_path)!r}), sweeps.small(), resume=True): pass"
    )
    filled(tmp_path)
    with store.opened(tmp_path, SWEEP, resume=resume) as kept:
        kept.append(sweeps.batched(1, 1))
        ran = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True, check=False)
    assert "is being written by another halfopen" in ran.stderr
    with store.opened(tmp_path, SWEEP, resume=True) as kept:
        assert 1 in kept.done
