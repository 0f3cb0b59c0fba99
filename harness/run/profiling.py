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
    """Judges results by the profile of their server. Those whose scenarios need to know it wait for it."""

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
        self._pass_on(lambda job: job.scenario.has_needs and job.candidate in self._expected - self._known.keys())

    def flush(self) -> None:
        """Show the results that still wait, since nothing more will come."""
        self._pass_on(lambda _: False)

    def _pass_on(self, must_wait: Callable[[Job], bool]) -> None:
        ready = [result for result in self._waiting if not must_wait(result.job)]
        self._waiting = [result for result in self._waiting if must_wait(result.job)]
        for result in ready:
            profile = self._known.get(result.job.candidate)
            self._on_done(result if profile is None else _applied(result, profile))


def _applied(result: RunResult, profile: Profile) -> RunResult:
    """Return a result with the verdict ``not_applicable`` if its scenario cannot be asked of its server.

    A server that crashed, or that let nobody in, has failed all the same.
    """
    why = unmet(result.job.scenario, profile)
    if why is None or result.verdict.klass == "not_opened" or broken_off(result.timeline):
        return result
    return dataclasses.replace(result, verdict=Verdict("not_applicable", why, None, result.verdict.found))
