"""Judge the treatment of a crowd, and put it into words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from halfopen.model import evidence
from halfopen.model.evidence import Proof
from halfopen.model.link_proof import link_proofs
from halfopen.model.timeline import Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import CROWD, CrowdExpect, Scenario
from halfopen.verdict.crowd import CrowdFindings, crowd_observed_until, find_crowd
from halfopen.verdict.judge import Timing, Word

#: Seconds by which a crowd may be observed too short.
_SAMPLING = 1.0


@dataclass(frozen=True, slots=True)
class CrowdVerdict:
    """The result of a crowd against its expectations."""

    word: Word
    why: str
    found: CrowdFindings


def judge_crowd(scenario: Scenario, timeline: Timeline, terms: Timing) -> CrowdVerdict | None:
    """Judge the crowd of a run; None if the scenario has none."""
    if scenario.crowd is None:
        return None
    found = find_crowd(scenario, timeline, terms)
    word, why = _decide(scenario, timeline, terms, found)
    return CrowdVerdict(word, why, found)


def sentences(found: CrowdFindings) -> list[str]:
    """Describe what became of the crowd, one sentence a subject."""
    return [*_course(found), _cost(found)]


def _course(found: CrowdFindings) -> list[str]:
    return [sentence for sentence in (_ends(found), _returns(found), _recovery(found)) if sentence]


def _decide(scenario: Scenario, timeline: Timeline, terms: Timing, found: CrowdFindings) -> tuple[Word, str]:
    assert scenario.crowd is not None
    own = timeline.others.get(CROWD, Timeline())
    if (out := own.last(CROWD, "output")) is not None:
        return "inconclusive", f"the clients' process failed: {out.data['text']}"
    if own.first(CROWD, "standing") is None:
        return "inconclusive", "the clients' process reported nothing at the end"
    begun = [event.t for event in own.of("fault", "begun")]
    if found.served_at is None or any(t < found.served_at for t in begun):
        when = "before the first fault" if begun else "at all"
        served = _served_by(own, min(begun, default=found.looked_until))
        return "failed", f"{served} of {found.count} clients were served {when}{_failed(found)}"
    proof = _proof(scenario, own)
    if not proof.shown:
        return "inconclusive", f"nothing is proved: {proof.what}"
    until = crowd_observed_until(scenario, terms)
    if found.looked_until < until - _SAMPLING:
        seconds = show_duration(round(found.looked_until, 1))
        return "inconclusive", f"nothing is proved: observed until {seconds}, instead of {show_duration(until)}"
    complaint = next(_complaints(scenario.crowd.expect, found, terms), None)
    if complaint is not None:
        return "failed", complaint
    return "passed", f"{found.count} clients: {'; '.join(_course(found))}"


def _served_by(own: Timeline, moment: float) -> int:
    return len({event.data["number"] for event in own.of(CROWD, "served") if event.t <= moment})


def _failed(found: CrowdFindings) -> str:
    """Return the failed attempts, as the end of a sentence."""
    kinds = [f"{count} {name}" for name, count in found.failures.items()]
    failed = f"; attempts that failed: {', '.join(kinds)}" if kinds else ""
    return failed + (f"; ListenOverflows {found.overflows}" if kinds and found.overflows else "")


def _proof(scenario: Scenario, own: Timeline) -> Proof:
    """Return the proof by each fault on the crowd's link, as one of its sessions shows it, and by the link."""
    assert scenario.crowd is not None
    # That of a proxy towards the client shows it, if there is one.
    shown = own.facing_client() if scenario.edge else own
    proofs = []
    faults = list(own.of("fault", "begun"))
    for begun in faults:
        undone = [event.t for event in own.of("fault", "undone") if event.data["step"] == begun.data["step"]]
        later = [other.t for other in faults if other.t > begun.t]
        last = min([*undone, *later], default=float("inf"))
        proofs.append(scenario.steps[begun.data["step"]].module.signature(shown.between(begun.t, last)))
    expected = sum(step.on == CROWD for step in scenario.steps)
    if len(faults) < expected:
        proofs.append(Proof(False, f"{expected - len(faults)} of its faults never began"))
    return evidence.all_of(*proofs, *link_proofs(scenario.crowd.link, own))


def _complaints(expect: CrowdExpect, found: CrowdFindings, terms: Timing) -> Iterator[str]:
    """Yield everything in which the crowd was not treated as expected, causes before their effects."""
    yield from _more(found.reaps, expect.most_reaps, "live clients were reaped")
    yield from _more(found.reaps_per_second, expect.most_reaps_per_second, "live clients were reaped in one second")
    if expect.all_served_within is not None:
        within = terms.seconds(expect.all_served_within)
        if found.unserved:
            over = f" {show_duration(within)} after the fault" if found.over_at is not None else ""
            yield f"{found.unserved} of {found.count} clients get no data{over}{_failed(found)}"
        elif found.served_again_after is not None and found.served_again_after > within:
            took = show_duration(round(found.served_again_after, 1))
            yield f"all clients were served again {took} after the fault, expected within {show_duration(within)}"
    if expect.longest_gap is not None and found.gap is not None:
        longest = terms.seconds(expect.longest_gap)
        if found.gap.seconds > longest:
            seconds, since = show_duration(round(found.gap.seconds, 1)), f"{found.gap.begun:.1f}s"
            yield f"a client got no data for {seconds} from {since} on, expected at most {show_duration(longest)}"
    yield from _more(found.overflows, expect.most_overflows, "attempts met a full accept queue (ListenOverflows)")
    yield from _leaks(expect, found)


def _more(number: int, most: int | None, what: str) -> Iterator[str]:
    if most is not None and number > most:
        yield f"{number} {what}, expected at most {most}"


def _leaks(expect: CrowdExpect, found: CrowdFindings) -> Iterator[str]:
    """Yield whatever of the crowd the server still holds, unless it has reason to."""
    if found.ghosts:
        return
    if found.sockets_left:
        yield f"the server holds {found.sockets_left} sockets of clients that have left"
    if found.before is None or found.after is None:
        return
    for before, after, most, what in (
        (found.before.files, found.after.files, expect.files_left, "open files"),
        (found.before.threads, found.after.threads, expect.threads_left, "threads"),
    ):
        if most is not None and after - before > most:
            yield (
                f"the server has {after - before} more {what} after the crowd has left than before it came, "
                f"expected at most {most} more"
            )


def _ends(found: CrowdFindings) -> str:
    if not found.reaps:
        others = f", {found.ended} sessions ended otherwise, at most {found.ended_per_second} in a second"
        return f"none reaped{others if found.ended else ''}"
    at = "" if found.reaped_at is None else f", the first at {found.reaped_at:.1f}s"
    return f"{found.reaps} reaped{at}, at most {found.reaps_per_second} in a second"


def _returns(found: CrowdFindings) -> str:
    if not found.attempts:
        return ""
    gave_up = f"{found.gave_up} gave their connection up, " if found.gave_up else ""
    attempts = f"in {found.attempts} attempts (at most {found.attempts_per_second} in a second"
    return f"{gave_up}{found.returned} came back {attempts}, {found.most_attempts} of one client){_failed(found)}"


def _recovery(found: CrowdFindings) -> str:
    gap = "" if found.gap is None else f", the longest gap {show_duration(round(found.gap.seconds, 1))}"
    if found.unserved:
        return f"{found.unserved} without data at the end{gap}"
    if found.served_again_after is None:
        return f"all served{gap}"
    if not found.served_again_after:
        return f"all served as the fault was over{gap}"
    return f"all served again {show_duration(round(found.served_again_after, 1))} after the fault{gap}"


def _cost(found: CrowdFindings) -> str:
    parts = [f"ListenOverflows {found.overflows}"]
    if found.before is not None and found.most is not None and found.after is not None:
        held = (found.before, found.most, found.after)
        parts.append(f"memory {' / '.join(show_bytes(one.memory) for one in held)}")
        parts.append(f"files {' / '.join(str(one.files) for one in held)}")
        parts.append(f"threads {' / '.join(str(one.threads) for one in held)} (before / most / after)")
    return ", ".join(parts)
