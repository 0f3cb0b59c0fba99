"""Hold a session on this machine's own kernel, where time goes on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from halfopen.model.journal import Journal
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.lab import Lab
from halfopen.repro import keys, shell
from halfopen.repro.account import account
from halfopen.repro.director import Director
from halfopen.repro.fronts import Screen, Wishes, on_paper, tell
from halfopen.repro.opening import session_of
from halfopen.repro.tap import Tap
from halfopen.repro.terminal import Kept
from halfopen.run.runner import Job
from halfopen.run.session import Session
from halfopen.verdict.findings import find


@dataclass(frozen=True, slots=True)
class RealHold:
    """The session to hold, and how to show it."""

    job: Job
    title: str
    wishes: Wishes
    again: str
    """Command that repeats this hold."""
    pcap: Path | None
    """Capture file from the start; None captures nothing until asked."""
    spare_pcap: Path
    """Capture file for a capture started by hand."""
    screen: Kept | None
    """Terminal for the display; None prints instead."""


def carry_out(hold: RealHold, console: Console) -> int:
    """Run to the wedge, hold, and print the closing account; returns the exit code.

    Raises TargetError. Call it isolated.
    """
    journal, job = Journal(), hold.job
    tap = Tap(hold.pcap, hold.spare_pcap)
    with Lab() as lab, tap, session_of(job, journal, lab, tap) as session:
        director = Director(hold.title, session, job, journal, tap)
        return _attend(hold, director, session, console)


def _attend(hold: RealHold, director: Director, session: Session, console: Console) -> int:
    code = ExitCode.PASSED
    with director:
        try:
            _front(hold, director, session, console)
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        director.finish()
        found = find(director.timeline(), hold.job.scenario)
        is_seen = hold.screen is not None
        tell(console, account(director.look(), found, director.held_since, hold.again, tells_deeds=is_seen))
    return code


def _front(hold: RealHold, director: Director, session: Session, console: Console) -> None:
    if hold.screen is None:
        on_paper(director, console, hold.wishes)
        return
    hosts = {"s": (session.server.site.host, "server"), "l": (session.scene.client_host, "client")}
    shells: dict[str, Callable[[int], str]] = {
        key: partial(shell.run, host, called) for key, (host, called) in hosts.items()
    }
    Screen(console, hold.screen, keys.REAL, shells).attend(director, hold.wishes)
