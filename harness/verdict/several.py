"""Judge a run with several clients: each session by itself, and the run by the worst of them. Pure."""

from __future__ import annotations

import dataclasses

from halfopen.model.timeline import Timeline
from halfopen.scenario.spec import CROWD, SUBJECT, Scenario
from halfopen.verdict.crowd_verdict import CrowdVerdict
from halfopen.verdict.judge import Timing, Verdict, Word, judge

#: The worst first.
_RANKS: tuple[Word, ...] = ("failed", "inconclusive", "passed", "not_applicable")


def judge_each(scenario: Scenario, timeline: Timeline, terms: Timing) -> tuple[Verdict, dict[str, Verdict]]:
    """Return the verdict on the subject's session, and those on the other clients' by name."""
    subject = judge(scenario.part(SUBJECT), timeline, terms)
    others = {
        other.name: judge(scenario.part(other.name), timeline.others.get(other.name, Timeline()), terms)
        for other in scenario.others
    }
    if subject.word == "inconclusive" and subject.found.ended_at is None:
        others |= {other.name: _too_early(others[other.name]) for other in scenario.others if other.at_the_end}
    return subject, others


def _too_early(verdict: Verdict) -> Verdict:
    """Return the verdict on a client that waited for an end which, for no fault of the server, never came."""
    if verdict.word != "failed":
        return verdict
    why = f"the subject's session, whose end it waited for, never ended; {verdict.why}"
    return dataclasses.replace(verdict, word="inconclusive", why=why)


def worst(subject: Verdict, others: dict[str, Verdict], crowd: CrowdVerdict | None) -> Verdict:
    """Return the verdict on the run: the worst of all, with the subject's findings.

    A scenario that cannot be asked of a server does not apply, whatever became of the other clients.
    """
    company: dict[str, Verdict | CrowdVerdict] = {**others, **({} if crowd is None else {CROWD: crowd})}
    if not company or subject.word == "not_applicable":
        return subject
    word = min((subject.word, *(verdict.word for verdict in company.values())), key=_RANKS.index)
    if word == "passed":
        served = "" if not others else f"; {_number(len(others))} as expected"
        of_crowd = "" if crowd is None else f"; {CROWD} of {crowd.why}"
        return dataclasses.replace(subject, why=subject.why + served + of_crowd)
    to_blame = [f"{name}: {verdict.why}" for name, verdict in company.items() if verdict.word == word]
    if subject.word == word:
        to_blame.insert(0, subject.why)
    more = len(to_blame) - 1
    first = to_blame[0] + (f" (and {more} more {word})" if more else "")
    return dataclasses.replace(subject, word=word, why=first)


def _number(count: int) -> str:
    return "the other client" if count == 1 else f"the {count} other clients"
