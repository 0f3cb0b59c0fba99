"""Hold a session in a guest whose clock stands still. Run ``python -m halfopen.repro.guest_side FOLDER`` inside it."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

import msgspec

from halfopen.errors import InputError
from halfopen.netns import capabilities
from halfopen.netns.lab_errors import LabError
from halfopen.repro import line
from halfopen.repro.director import Director, directed, with_held_watchdog
from halfopen.repro.line import Account, HoldPart, HoldRefused, HoldUp, Order, Pass, Press, Quit, Remark, Said, Shown
from halfopen.repro.session_capture import SessionCapture
from halfopen.run import request

#: Seconds of the guest's clock between two steps.
_TICK = 0.05


def main(folder: Path) -> int:
    """Hold the session described by the part in ``folder``; returns 0 on success."""
    part = msgspec.json.decode((folder / line.PART).read_bytes(), type=HoldPart)
    talk = _Talk(folder)
    talk.say(HoldUp(capabilities.kernel_release(), capabilities.congestion_control()))
    try:
        told = _hold(part, talk, folder / line.CAPTURE)
        talk.say(Account(told, _captured(part, folder / line.CAPTURE)))
    except (InputError, LabError) as error:
        talk.say(HoldRefused(str(error)))
        return 1
    return 0


class _Talk:
    """The guest's end of the line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def say(self, message: Said) -> None:
        self._number += 1
        line.put(line.said_file(self._folder, self._number), message)

    def order(self) -> Order:
        """Return the answer to the last message. It is polled without sleeping, so that no guest time passes."""
        file = line.order_file(self._folder, self._number)
        while not file.exists():
            pass
        order: Order = msgspec.json.decode(file.read_bytes(), type=Order)
        return order


def _captured(part: HoldPart, file: Path) -> str | None:
    """Return where the closed capture belongs; None if there is none."""
    if not file.exists():
        return None
    with file.open("rb+") as written:
        # Flush it out of the guest's own cache.
        os.fsync(written.fileno())
    return part.pcap or part.spare_pcap


def _hold(part: HoldPart, talk: _Talk, capture: Path) -> list[str]:
    (job,) = request.jobs(part.call)
    session_capture = SessionCapture(None if part.pcap is None else Path(part.pcap), Path(part.spare_pcap), capture)
    with directed(with_held_watchdog(job, part.ping), part.title, session_capture) as director:
        while not director.is_settled:
            _tick(director)
        lists_actions = _obey(director, talk)
        return director.account(part.again, lists_actions=lists_actions)


def _obey(director: Director, talk: _Talk) -> bool:
    """Show the session and obey orders until Quit. Returns whether the account lists the actions."""
    for _ in itertools.count():
        talk.say(Shown(director.view()))
        match talk.order():
            case Pass(seconds=seconds):
                _pass(director, seconds)
            case Press(key=key):
                director.press(key)
            case Remark(text=text):
                director.remark(text)
            case Quit(tells_deeds=tells_deeds):
                return tells_deeds
    raise AssertionError("it counts for ever")


def _pass(director: Director, seconds: float) -> None:
    until = director.now + seconds
    while director.now < until:
        time.sleep(director.patience(min(_TICK, until - director.now)))
        director.step()


def _tick(director: Director) -> None:
    time.sleep(director.patience(_TICK))
    director.step()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
