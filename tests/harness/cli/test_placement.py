"""The clock and kernel of a call, by its options and the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from halfopen.cli import placement
from halfopen.cli.placement import Clock, Kernel, choose, place
from halfopen.errors import InputError
from halfopen.netns.guest import cache
from halfopen.netns.guest.cache import GuestKernel
from halfopen.netns.lab_errors import IsolationError, UnsupportedError
from halfopen.run.request import RunRequest, left_out
from halfopen.scenario import suites
from halfopen.scenario.spec import Scenario
from tests.machine import needs_labs

GUEST = GuestKernel(Path("/somewhere/linux"), "6.12.1", "linux-source-6.12 6.12.1-1")

FAR = """
title = "Far"
story = "A satellite."
truth = "alive"
client = "draining"
[link]
delay = "300ms"
[expect]
session = "kept"
hold = "2s"
"""


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "newest", lambda: GUEST)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "newest", lambda: None)


@pytest.fixture
def far(tmp_path: Path) -> list[Scenario]:
    file = tmp_path / "far.toml"
    file.write_text(FAR)
    return suites.find([str(file)])


@pytest.fixture
def without_netem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "lacking_disciplines", list)


NEAR = suites.find(["frozen"])


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("kernel", [Kernel.AUTO, Kernel.GUEST])
@pytest.mark.parametrize("clock", [Clock.AUTO, Clock.VIRTUAL])
def test_where_there_is_a_guest_waiting_is_skipped(clock: Clock, kernel: Kernel) -> None:
    found = choose(clock, kernel, NEAR)
    assert (found.clock, found.kernel) == ("virtual", GUEST)
    assert (found.why is None) == (clock is Clock.VIRTUAL)


@needs_labs
@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("clock", "kernel"), [(Clock.REAL, Kernel.AUTO), (Clock.REAL, Kernel.HOST), (Clock.AUTO, Kernel.HOST)]
)
def test_what_was_asked_for_goes_first(clock: Clock, kernel: Kernel) -> None:
    assert choose(clock, kernel, NEAR).kernel is None


@pytest.mark.usefixtures("there")
def test_a_guest_can_keep_real_time() -> None:
    found = choose(Clock.REAL, Kernel.GUEST, NEAR)
    assert (found.clock, found.kernel) == ("real", GUEST)


@needs_labs
@pytest.mark.usefixtures("nowhere")
def test_without_a_guest_the_clock_is_real() -> None:
    assert choose(Clock.AUTO, Kernel.AUTO, NEAR) == placement.Placement("real", None)


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("clock", "kernel"),
    [(Clock.VIRTUAL, Kernel.AUTO), (Clock.AUTO, Kernel.GUEST), (Clock.REAL, Kernel.GUEST)],
)
def test_a_guest_that_is_asked_for_and_is_not_there(clock: Clock, kernel: Kernel) -> None:
    with pytest.raises(InputError, match="halfopen kernel build"):
        choose(clock, kernel, NEAR)


def test_no_clock_of_this_machine_is_virtual() -> None:
    with pytest.raises(InputError, match="--clock virtual: needs a guest kernel"):
        choose(Clock.VIRTUAL, Kernel.HOST, NEAR)


@needs_labs
@pytest.mark.usefixtures("there", "without_netem")
@pytest.mark.parametrize(("clock", "taken"), [(Clock.REAL, "real"), (Clock.AUTO, "virtual")])
def test_what_this_machines_kernel_lacks_the_guest_has(clock: Clock, taken: str, far: list[Scenario]) -> None:
    found = choose(clock, Kernel.AUTO, far)
    assert (found.clock, found.kernel) == (taken, GUEST)
    assert found.why is not None
    assert "scenario 'far' asks for delay on its link, which needs sch_netem" in found.why


@needs_labs
@pytest.mark.usefixtures("there", "without_netem")
def test_a_kernel_that_was_asked_for_is_taken_without_what_it_lacks(far: list[Scenario]) -> None:
    found = choose(Clock.REAL, Kernel.HOST, [*far, *NEAR])
    assert found == placement.Placement("real", None, lacking={"netem": "leave out --kernel host"})


@needs_labs
@pytest.mark.usefixtures("nowhere", "without_netem")
def test_without_a_guest_what_needs_netem_is_left_out_and_the_rest_runs(tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(FAR)
    request = RunRequest(seed=1, grace=30, poll=2, names=["frozen", "satellite", str(tmp_path / "far.toml")])
    request, todo, placed = place(request, Clock.AUTO, Kernel.AUTO)
    assert [job.scenario.name for job in todo] == ["frozen"]
    assert (placed.clock, placed.kernel) == ("real", None)
    assert [(entry.scenario, entry.remedy) for entry in left_out(request)] == [
        ("satellite", "halfopen kernel build"),
        ("far", "halfopen kernel build"),
    ]


@needs_labs
@pytest.mark.usefixtures("nowhere", "without_netem")
def test_a_call_of_which_nothing_would_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "far.toml").write_text(FAR)
    request = RunRequest(seed=1, grace=30, poll=2, names=["satellite", str(tmp_path / "far.toml")])
    with pytest.raises(InputError, match=r"^scenario 'satellite' asks for .*; to run it: halfopen kernel build$"):
        place(request, Clock.AUTO, Kernel.AUTO)


@needs_labs
@pytest.mark.usefixtures("nowhere")
def test_a_rate_needs_a_discipline_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "lacking_disciplines", lambda kinds: [kind for kind in kinds if kind == "tbf"])
    request = RunRequest(seed=1, grace=30, poll=2, names=["frozen", "slow_link"])
    request, todo, _ = place(request, Clock.AUTO, Kernel.AUTO)
    assert [job.scenario.name for job in todo] == ["frozen"]
    [entry] = left_out(request)
    assert entry.why.startswith("asks for rate on its link, which needs sch_tbf, and this kernel (")


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_options: object) -> int:
        raise IsolationError("user.max_user_namespaces is 0")

    monkeypatch.setattr(placement, "isolated", refuse)


@pytest.mark.usefixtures("there", "forbidden")
def test_where_namespaces_are_forbidden_a_guest_is_taken_on_a_real_clock_too() -> None:
    found = choose(Clock.REAL, Kernel.AUTO, NEAR)
    assert (found.clock, found.kernel) == ("real", GUEST)
    assert found.why == "this machine allows no labs (user.max_user_namespaces is 0)"
    with pytest.raises(UnsupportedError, match=r"user\.max_user_namespaces is 0"):
        choose(Clock.REAL, Kernel.HOST, NEAR)


@pytest.mark.usefixtures("nowhere", "forbidden")
def test_a_machine_that_allows_no_labs_and_has_no_guest_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"max_user_namespaces is 0\).*: halfopen kernel build$"):
        choose(Clock.AUTO, Kernel.AUTO, NEAR)
