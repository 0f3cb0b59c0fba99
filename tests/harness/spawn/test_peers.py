"""Messages with a process of ours, and what either side sees when the other is gone."""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from halfopen.netns.bug_report import ForeignError
from halfopen.netns.exit_codes import ExitCode
from halfopen.spawn import peers
from halfopen.spawn.peers import Child, PeerLostError, PeerUp, Refused
from tests.harness.pod.pods import eventually

ECHO = "while (message := parent.receive()): print('noise'); parent.send(message)"
WAITS = "parent.interrupt_when_gone(); parent.receive(); parent.send(PeerUp('6.12', None)); time.sleep(600)"
#: Until it waits for a message it is at work, and is interrupted.
SAYS_THAT_IT_WAITS = """
import threading
def say():
    while parent._is_busy:
        time.sleep(0.01)
    parent.send(PeerUp())
threading.Thread(target=say).start()
"""

Start = Callable[[str], Child]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start children that run a line of Python."""
    children: list[Child] = []

    def started(script: str) -> Child:
        imports = "import time; from halfopen.spawn.peers import Parent, PeerUp, Refused"
        script = f"{imports}\nparent = Parent(PeerUp | Refused)\n{script}"
        monkeypatch.setattr(peers, "command", lambda _: [sys.executable, "-c", script])
        children.append(Child("any", PeerUp | Refused))
        return children[-1]

    yield started
    for child in children:
        child.close()


def test_messages_arrive_whole_whatever_else_is_printed(start: Start) -> None:
    child = start(ECHO)
    for message in (PeerUp("6.12", "cubic"), Refused("x" * 1_000_000)):
        assert child.ask(message) == message


def test_what_json_lacks_is_not_sent_and_the_next_request_is_answered(start: Start) -> None:
    child = start(ECHO)
    with pytest.raises(TypeError):
        child.ask(object())
    assert child.ask(Refused("no")) == Refused("no")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit(3)", "exit code 3, without a word"),
        ("raise SystemExit('out of luck')", "out of luck"),
        ('parent._stream.write(b\'{"type":"refu\')', "exit code 0, without a word"),
    ],
    ids=["silent", "in words", "cut off"],
)
def test_a_child_that_ends_is_lost_with_its_last_words(start: Start, script: str, said: str) -> None:
    child = start(script)
    with pytest.raises(PeerLostError):
        child.ask(Refused("no"))
    assert child.last_words() == said


def test_after_an_interrupted_wait_no_answer_is_taken_for_another(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(ECHO)
    monkeypatch.setattr(child, "receive", lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        child.ask(Refused("the first"))
    with pytest.raises(PeerLostError, match="interrupted"):
        child.ask(Refused("the second"))


def test_an_error_of_ours_is_raised_where_it_is_awaited_with_its_traceback(start: Start) -> None:
    child = start("with parent.sending_bugs():\n    parent.receive()\n    {}['a key']")
    with pytest.raises(ForeignError, match=r"^KeyError: 'a key'$") as raised:
        child.ask(Refused("go"))
    assert "Traceback" in raised.value.trace
    assert child.last_words() == f"exit code {ExitCode.BUG:d}, without a word"
    passed_on = pickle.loads(pickle.dumps(raised.value))
    assert (str(passed_on), passed_on.trace) == (str(raised.value), raised.value.trace)


def test_an_answer_that_reports_an_error_of_ours_is_not_the_last(start: Start) -> None:
    child = start(f"from halfopen.spawn.peers import Broken\nparent.receive(); parent.send(Broken('a', 'b'))\n{ECHO}")
    with pytest.raises(ForeignError):
        child.ask(Refused("the first"))
    assert child.ask(Refused("the second")) == Refused("the second")


def test_a_child_at_work_is_interrupted_when_its_parent_is_gone(start: Start) -> None:
    child = start(WAITS)
    child.ask(Refused("go"))
    child.close(patience=None)


def test_it_is_interrupted_too_if_the_parent_goes_before_its_request_is_read(start: Start) -> None:
    child = start(f"time.sleep(0.5); {WAITS}")
    child.send(Refused("go"))
    child.close(patience=None)


def test_a_child_that_waits_for_a_request_just_ends(start: Start) -> None:
    child = start(f"{SAYS_THAT_IT_WAITS}\nparent.interrupt_when_gone()\n{ECHO}\nprint('done')")
    child.receive()
    child._socket.shutdown(2)
    assert child.last_words().splitlines()[-1] == "done"


def test_a_parent_that_goes_with_messages_unread_is_just_gone(start: Start) -> None:
    child = start("parent.send(PeerUp()); print('heard', parent.receive())")
    assert child.says(60.0)
    child._reader.close()
    child._stream.close()
    child._socket.close()
    assert child.last_words() == "heard None"


def test_a_child_that_does_not_end_is_killed(start: Start) -> None:
    child = start("parent.receive(); time.sleep(600)")
    begun = time.monotonic()
    child.close(patience=0.1)
    assert time.monotonic() - begun < 600


def test_it_says_that_there_is_something_to_read(start: Start) -> None:
    child = start("parent.receive(); parent.send(PeerUp()); parent.receive()")
    assert not child.says(0.0)
    child.send(Refused("go"))
    assert eventually(lambda: child.says(1.0))
    assert isinstance(child.receive(), PeerUp)


def test_a_kind_that_was_not_agreed_on_is_an_error(start: Start) -> None:
    with pytest.raises(msgspec.ValidationError):
        start("parent.send('a text')").receive()
