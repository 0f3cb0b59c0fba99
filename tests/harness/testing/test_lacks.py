"""A lack of this machine skips the tests that need it, with the command that helps, and no others."""

from __future__ import annotations

from typing import Any, cast

import pytest

from halfopen.netns.guest import cache
from halfopen.netns.lab_errors import UnsupportedError
from halfopen.run import hindrances, request
from halfopen.run.observer import Stop
from halfopen.run.request import RunRequest
from halfopen.run.start_queue import StartQueue
from halfopen.scenario.spec import Edge
from halfopen.spawn.peers import Refused
from halfopen.testing import share, worker
from halfopen.testing.channel import Channel
from halfopen.testing.messages import Done, Lacking, ReadHistory, Reply
from halfopen.testing.share import Result, SuiteShare


def shared(name: str) -> Result | None:
    """Return the result of a scenario that is not started; None if it would be."""
    asked = RunRequest(seed=1, grace=2, poll=0.2, names=[name])
    [job] = request.jobs(asked)
    call = share._with_lacks(asked, [job])
    if hindrances.lack(call, job.scenario) is None:
        return None
    done = share._run(job, SuiteShare(asked, "", [name], "real", 1), Stop(), StartQueue(), call)
    assert isinstance(done, Result)
    return done


@pytest.mark.parametrize(
    ("guest", "remedy"),
    [(None, "halfopen kernel build, then --halfopen-clock virtual"), (object(), "--halfopen-clock virtual")],
)
def test_a_scenario_whose_link_the_kernel_cannot_make_is_skipped(
    guest: object, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "lacking_disciplines", list)
    monkeypatch.setattr(cache, "newest", lambda: guest)
    result = shared("satellite")
    assert result is not None
    assert result.word == "skipped"
    assert result.why.startswith("scenario 'satellite' asks for delay on its link, which needs sch_netem, and this")
    assert result.why.endswith(f" has none; to run it: {remedy}")
    assert shared("frozen") is None


def test_a_kernel_that_has_it_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "lacking_disciplines", lambda _: [])
    assert shared("satellite") is None


class _Lab:
    def answer(self, _: object) -> Reply:
        raise UnsupportedError("this kernel has no sch_netem; a guest kernel has it: halfopen kernel build")


class _Child:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def ask(self, _: object) -> Reply:
        return self.reply


def asked(reply: Reply) -> Any:
    channel = Channel.__new__(Channel)
    channel._child = cast("Any", _Child(reply))
    return channel.ask(ReadHistory(), Done)


def test_a_test_whose_lab_the_machine_cannot_make_is_skipped_and_one_that_is_refused_fails() -> None:
    reply = worker._answer(cast("Any", _Lab()), ReadHistory())
    assert isinstance(reply, Lacking)
    with pytest.raises(pytest.skip.Exception, match=r"halfopen: this kernel has no sch_netem; .* kernel build"):
        asked(reply)
    with pytest.raises(pytest.fail.Exception, match="halfopen: no such detector"):
        asked(Refused("no such detector"))
    assert asked(Done(3)) == Done(3)


def test_a_proxy_that_is_not_installed_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hindrances, "find_program", lambda _: None)
    lack = hindrances.lacking_proxy(Edge(proxy="haproxy"))
    assert lack is not None
    assert str(lack) == "needs haproxy, which is not installed; to run it: sudo apt-get install haproxy"
