"""Observe each server undisturbed beside its scenarios, and leave out the verdicts on what it cannot be asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from halfopen.model.profile import Profile, profile_of
from halfopen.run.request import RunRequest
from halfopen.run.runner import Job, RunResult
from halfopen.scenario import suites
from halfopen.verdict.judge import Verdict, broken_off, hold
from halfopen.verdict.needs import unmet

#: Seconds of an undisturbed session on the virtual clock, where they cost little; and most and least on a real one.
_LONGEST, _SHORTEST = 120.0, 20.0


def duration(request: RunRequest, jobs: Sequence[Job], clock: str) -> float | None:
    """Return the seconds for which to observe a server undisturbed; None if that is not worth it.

    On a real clock it takes no longer than the longest scenario, unless a scenario needs to know what the server does.
    """
    if not request.targets and request.target.is_pod:
        return None
    if clock == "virtual":
        return _LONGEST
    longest = max(hold(job.scenario, job.terms) for job in jobs)
    if longest < _SHORTEST and not any(job.scenario.has_needs for job in jobs):
        return None
    return min(_LONGEST, max(_SHORTEST, longest))


def is_profile(job: Job) -> bool:
    """True for the job of an undisturbed session."""
    return job.scenario.called == suites.PROFILE


class Profiling:
    """Judges results by the profile of their server. They wait until it is known."""

    def __init__(
        self,
        jobs: Sequence[Job],
        on_done: Callable[[RunResult], None],
        on_profile: Callable[[str | None, Profile], None],
    ) -> None:
        """``on_done`` is called with each result that is judged, ``on_profile`` with a candidate's name and profile."""
        self._known: dict[str | None, Profile | None] = {}
        self._expected = {job.candidate for job in jobs if is_profile(job)}
        self._waiting: list[RunResult] = []
        self._on_done = on_done
        self._on_profile = on_profile

    def add(self, result: RunResult) -> None:
        """Take in a result, of a scenario or of an undisturbed session."""
        if is_profile(result.job):
            profile = self._known[result.job.candidate] = profile_of(result.timeline)
            if profile is not None:
                self._on_profile(result.job.candidate, profile)
        else:
            self._waiting.append(result)
        still_waiting = []
        for waiting in self._waiting:
            if waiting.job.candidate in self._expected - self._known.keys():
                still_waiting.append(waiting)
            else:
                self._on_done(self._judged(waiting))
        self._waiting = still_waiting

    def flush(self) -> None:
        """Show the results that still wait, since nothing more will come."""
        for waiting in self._waiting:
            self._on_done(self._judged(waiting))
        self._waiting = []

    def _judged(self, result: RunResult) -> RunResult:
        profile = self._known.get(result.job.candidate)
        return result if profile is None else applied(result, profile)


def applied(result: RunResult, profile: Profile) -> RunResult:
    """Return a result with the verdict ``not_applicable`` if its scenario cannot be asked of its server.

    A server that crashed, or that let nobody in, has failed all the same.
    """
    why = unmet(result.job.scenario, profile)
    if why is None or result.verdict.klass == "not_opened" or broken_off(result.timeline):
        return result
    return dataclasses.replace(result, verdict=Verdict("not_applicable", why, None, result.verdict.found))
