"""A user's options of ``halfopen grace`` as the candidates of a sweep. Pure."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import msgspec

from halfopen import plugins
from halfopen.errors import InputError
from halfopen.grace.sweep import Candidate
from halfopen.netns.units import plain, show_duration
from halfopen.pod import detectors as catalogue
from halfopen.pod.watchdog import DEFAULT_GRACE
from halfopen.results.words import exactly
from halfopen.run.request import DEFAULT_DETECTOR, require_no_detector
from halfopen.scenario.target_spec import TargetSpec

#: Placeholders for the grace in a server's arguments, and their units per second.
PLACES = {"{grace}": 1, "{grace_ms}": 1000}

#: Seconds. Faults begin 4 to 8 s after a session does (scenarios/_grace/default.toml, draws.py).
LONGEST_POLL = 4.0


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The settings to compare. Durations are in seconds, each tuple in rising order."""

    graces: tuple[float, ...]
    polls: tuple[float, ...]
    detectors: tuple[str, ...] = ()
    """Detectors of the pod. Empty means the default detector."""
    target: TargetSpec = dataclasses.field(default_factory=TargetSpec)
    grace_argument: str | None = None

    def candidates(self) -> tuple[Candidate, ...]:
        """Return each detector, or the server, with each poll and grace. Raises InputError for bad combinations."""
        if self.target.image is not None:
            raise InputError(
                "a container image cannot be swept: a guest kernel cannot reach the container engine; start the server "
                "itself with --server"
            )
        if self.target.is_pod:
            self._check_pod()
        else:
            self._check_server()
        candidates = []
        for name in self._detectors() if self.target.is_pod else [None]:
            # Only the polls and graces that make a difference.
            own = name is not None and has_own_times(name)
            settings = [(self.polls[0], DEFAULT_GRACE)] if own else itertools.product(self.polls, self.graces)
            candidates += [Candidate(grace, poll, name) for poll, grace in settings]
        return tuple(candidates)

    def options(self) -> list[str]:
        """Return the command-line options that ask for the same."""
        words = ["--graces", ",".join(map(exactly, self.graces)), "--polls", ",".join(map(exactly, self.polls))]
        words += [word for name in self.detectors for word in ("--detector", name)]
        words += self.target.arguments()
        return words if self.grace_argument is None else [*words, "--grace-arg", self.grace_argument]

    def _detectors(self) -> list[str]:
        chosen = list(dict.fromkeys(self.detectors)) or [DEFAULT_DETECTOR]
        for name in chosen:
            if getattr(plugins.load(catalogue, name), "IS_BASELINE", False):
                raise InputError(f"--detector {name!r} reaps nobody, whatever the grace; leave it out")
        return chosen

    def _check_pod(self) -> None:
        if (longest := self.polls[-1]) > LONGEST_POLL:
            raise InputError(
                f"--polls {show_duration(longest)!r}: longer than {show_duration(LONGEST_POLL)}, the longest poll that "
                "a sweep samples at all its phases; use a shorter one"
            )
        if self.grace_argument is not None:
            raise InputError(f"--grace-arg {self.grace_argument!r}: needs --server; the pod gets its grace anyway")

    def _check_server(self) -> None:
        """Raise InputError if a server would be compared with itself under several names."""
        require_no_detector(self.target, next(iter(self.detectors), None))
        if self.grace_argument is not None:
            if not any(place in self.grace_argument for place in PLACES):
                raise InputError(
                    f"--grace-arg {self.grace_argument!r} has neither {{grace}} nor {{grace_ms}}; write it as "
                    "'--ws-ping-timeout {grace}'"
                )
        elif len(self.graces) > 1:
            raise InputError(
                f"--graces: {len(self.graces)} of them, but no option sets the grace of --server; add "
                "--grace-arg '--its-option {grace}', or give the one grace that it has"
            )
        if len(self.polls) > 1:
            raise InputError("--polls: a --server has a poll of its own; give the one that it is judged by")


def with_grace(target: TargetSpec, argument: str | None, candidate: Candidate) -> TargetSpec:
    """Return the server under test as started for this candidate. ``argument`` is added to its command."""
    if target.server is None or argument is None:
        return target
    for place, units in PLACES.items():
        argument = argument.replace(place, plain(candidate.grace * units))
    return msgspec.structs.replace(target, server=f"{target.server} {argument}")


def has_own_times(detector: str) -> bool:
    """True if a detector of the pod ignores the grace, so that it is one point and not a curve. Raises InputError."""
    return bool(getattr(plugins.load(catalogue, detector), "OWN_TIMES", False))
