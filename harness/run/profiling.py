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
from halfopen.verdict.undisturbed import reconsidered, unserved

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
    """Judges results by the profile of their server. Those that the profile may change wait for it."""

    def __init__(
        self,
        jobs: Sequence[Job],
        on_done: Callable[[RunResult], None],
        on_profile: Callable[[str | None, Profile], None],
    ) -> None:
        """``on_done`` is called with each result that is judged, ``on_profile`` with a candidate's name and profile."""
        self._known: dict[str | None, Profile | None] = {}
        self._undisturbed: dict[str | None, RunResult] = {}
        self._expected = {job.candidate for job in jobs if is_profile(job)}
        self._waiting: list[RunResult] = []
        self._on_done = on_done
        self._on_profile = on_profile

    def add(self, result: RunResult) -> None:
        """Take in a result, of a scenario or of an undisturbed session."""
        if is_profile(result.job):
            profile = self._known[result.job.candidate] = profile_of(result.timeline)
            self._undisturbed[result.job.candidate] = result
            if profile is not None:
                self._on_profile(result.job.candidate, profile)
        else:
            self._waiting.append(result)
        self._pass_on(
            lambda result: _may_change(result) and result.job.candidate in self._expected - self._known.keys()
        )

    def flush(self) -> None:
        """Show the results that still wait, since nothing more will come."""
        self._pass_on(lambda _: False)

    def _pass_on(self, must_wait: Callable[[RunResult], bool]) -> None:
        ready = [result for result in self._waiting if not must_wait(result)]
        self._waiting = [result for result in self._waiting if must_wait(result)]
        for result in ready:
            profile = self._known.get(result.job.candidate)
            undisturbed = self._undisturbed.get(result.job.candidate)
            self._on_done(result if profile is None or undisturbed is None else _applied(result, profile, undisturbed))


def _may_change(result: RunResult) -> bool:
    """True if a result's verdict may be another once its server's profile is known."""
    verdict = result.subject
    changes = (verdict.klass, verdict.word) in (
        ("true_reap", "passed"),
        ("false_reap", "failed"),
        ("true_keep", "passed"),
    )
    return result.job.scenario.has_needs or changes


def _applied(result: RunResult, profile: Profile, undisturbed: RunResult) -> RunResult:
    """Return a result as it is in the light of its server's profile.

    It is ``not_applicable`` if its scenario cannot be asked of the server, inconclusive if an undisturbed session ends
    likewise, and failed if a server that streams no longer serves a live client.

    A server that crashed, or that let nobody in, has failed all the same.
    """
    why = unmet(result.job.scenario, profile)
    if result.subject.klass == "not_opened" or broken_off(result.timeline):
        return result
    if why is None:
        quiet = undisturbed.timeline, undisturbed.job.scenario
        subject = unserved(reconsidered(result.subject, result.timeline, *quiet), result.timeline, profile)
        return dataclasses.replace(result, subject=subject)
    return dataclasses.replace(result, subject=Verdict("not_applicable", why, None, result.subject.found))
