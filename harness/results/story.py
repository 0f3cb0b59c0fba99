"""One run in words, the same at the terminal, in reports and in a test's failure. Pure.

Describes faults, the kernel's evidence, expectation and result, and gives the command that repeats the run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from halfopen.model import evidence
from halfopen.model.evidence import Stall
from halfopen.model.link_spec import LinkSpec
from halfopen.model.timeline import Sample, Timeline
from halfopen.netns import units
from halfopen.netns.units import show_bytes, show_duration
from halfopen.results.baseline import Baseline
from halfopen.run.runner import Job, RunResult
from halfopen.scenario.spec import Scenario, Step
from halfopen.verdict.findings import Findings, Span
from halfopen.verdict.judge import deadline

#: Seconds. Shorter waits between acknowledgements need no sentence.
_SHORT_WAIT = 0.5


def story(one: RunResult, where: Sequence[str] = (), baseline: Baseline | None = None) -> list[str]:
    """Describe the failure, the faults, the evidence and the expectation; end with the command that repeats the run."""
    job, found = one.job, one.verdict.found
    mark = "✗" if one.verdict.word == "failed" else "?"
    lines = [f"{job.label}   {drawn(job.scenario)}", f"  {mark} {one.verdict.why}"]
    lines += _told("done:", deeds(job, found))
    lines += _told("seen:", kernel_saw(one.timeline, found))
    lines += _told("expected:", [expectation(job)])
    if baseline is not None and (known := baseline.of(one)):
        now = one.verdict.klass if one.verdict.word == "failed" else one.verdict.word
        lines.append(f"    known is another failure ({known}), and this is {now}")
    lines.append(f"again:   {again(job, where)}")
    return lines


def _told(head: str, sentences: Sequence[str]) -> list[str]:
    return [f"    {head if not n else '':9} {sentence}" for n, sentence in enumerate(sentences)]


def topology(scenario: Scenario) -> list[dict[str, str]]:
    """The path from the client to the server: hosts, and the impairments of the links between them."""
    hops = [{"host": "client"}, {"link": str(scenario.link)}]
    if scenario.edge is not None:
        hops += [{"host": scenario.edge.proxy}, {"link": "unimpaired"}]
    return [*hops, {"host": "server"}]


def drawn(scenario: Scenario) -> str:
    """The same on one line."""
    return " ".join(hop.get("host") or _arrow(hop["link"]) for hop in topology(scenario))


def _arrow(link: str) -> str:
    return "──▶" if link == "unimpaired" else f"──{link}──▶"


def deeds(job: Job, found: Findings) -> list[str]:
    """One sentence for each fault: its time, and its effect on the client, the link or the server."""
    begun = {span.step: span for span in found.spans}
    return [_deed(step, begun.get(number), found) for number, step in enumerate(job.scenario.steps)]


def _deed(step: Step, span: Span | None, found: Findings) -> str:
    what = ", ".join([f"{step.fault}: {_gist(step)}", *_options(step.options)])
    if span is None:
        return f"never came to {what}"
    over = found.looked_until if found.ended_at is None else found.ended_at
    until = "to the end" if span.until >= over else f"until {span.until:.1f}s"
    return f"at {span.begun:.1f}s {what} ({until})"


def _gist(step: Step) -> str:
    """Return the summary that the fault's module declares, or else the fault's name."""
    return getattr(step.module, "SUMMARY", step.fault)


def _options(options: Any) -> Iterator[str]:
    if isinstance(options, LinkSpec):
        yield str(options)
        return
    for field in msgspec.structs.fields(options):
        if (value := getattr(options, field.name)) != field.default:
            yield f"{field.name.replace('_', ' ')} {value}"


def struck(scenario: Scenario) -> dict[str, str]:
    """The place of each fault: the client, unless its module says otherwise (STRIKES: ``link`` or ``server``)."""
    return {step.fault: getattr(step.module, "STRIKES", "client") for step in scenario.steps}


def kernel_saw(timeline: Timeline, found: Findings) -> list[str]:
    """Describe the server kernel's evidence for the session: before the fault, in the stall, at the end."""
    samples = evidence.established(timeline)
    if not samples:
        return ["the server's socket was never seen open"]
    stall = found.stall or evidence.longest_stall([s for s in samples if s.t >= (found.fault_at or 0.0)])
    if stall is not None and stall.seconds > _SHORT_WAIT:
        before = [] if found.fault_at is None else [_before(samples, found.fault_at)]
        told = [*before, _stalled(stall, found), _dying(stall)]
    else:
        told = [f"{show_bytes(evidence.acknowledged(samples))} acknowledged in all, without a wait"]
    return [*told, _end(timeline, samples[-1], found)]


def _before(samples: Sequence[Sample], fault_at: float) -> str:
    before = [s for s in samples if s.t <= fault_at]
    if not before:
        return f"nothing before {fault_at:.1f}s"
    return f"{show_bytes(evidence.acknowledged(before))} acknowledged until {fault_at:.1f}s"


def _stalled(stall: Stall, found: Findings) -> str:
    most = show_bytes(max(s.outq for s in stall.samples))
    lasted = show_duration(stall.seconds)
    if stall is found.stall:
        return f"nothing acknowledged from {stall.onset:.1f}s on, for {lasted}, with up to {most} queued"
    return f"the longest wait for an acknowledgement: {lasted} from {stall.onset:.1f}s, with up to {most} queued"


def _dying(stall: Stall) -> str:
    """Describe the signs that distinguish a closed window before a live kernel from a dark path."""
    first, last = stall.samples[0], stall.samples[-1]
    shut = next((s.t for s in stall.samples if s.snd_wnd == 0), None)
    window = f"the peer's window at 0 from {shut:.1f}s" if shut is not None else "the peer's window open"
    # A single unanswered probe may just be in flight, even to a peer that answers all.
    probed = max(s.probes for s in stall.samples)
    again = last.total_retrans - first.total_retrans
    counted = [_count(again, "retransmission"), f"{_count(probed, 'probe')} unanswered"]
    heard = f"its last packet {show_duration(round(last.last_ack_recv / 1000, 1))} before the end"
    return ", ".join([window, *(text for text, many in zip(counted, (again, probed > 1), strict=True) if many), heard])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _end(timeline: Timeline, last: Sample, found: Findings) -> str:
    if found.ended_at is None:
        queued = f"{show_bytes(last.outq)} queued" if last.outq else "nothing queued"
        return f"still {last.state} at {last.t:.1f}s, {queued}"
    state = next((s.state for s in timeline.samples if s.t >= found.ended_at and s.state != last.state), None)
    ended = f"the server's side ended at {found.ended_at:.1f}s" + (f" ({state})" if state else "")
    if not found.orphan.bytes:
        return ended
    later = show_duration(round(found.orphan.seconds, 1))
    return f"{ended}; {show_bytes(found.orphan.bytes)} were still the kernel's {later} later"


def expectation(job: Job) -> str:
    """The expected outcome of the session."""
    scenario = job.scenario
    if scenario.expect.session == "kept":
        return "kept"
    limit = deadline(scenario, job.terms)
    since = "stall" if scenario.truth == "dead" and scenario.expect.since == "onset" else "fault"
    return scenario.expect.session + (f" within {show_duration(limit)} of the {since}" if limit else "")


def again(job: Job, where: Sequence[str] = ()) -> str:
    """The command that repeats this run exactly. ``where`` has the options for clock and kernel."""
    scenario = job.scenario
    words = ["halfopen", "run", scenario.called, "--seed", str(job.seed)]
    words += ["--grace", exactly(job.terms.grace), "--poll", exactly(job.terms.poll)]
    if job.detector:
        words += ["--detector", job.detector]
    if job.terms.hold is not None:
        words += ["--hold", exactly(job.terms.hold)]
    return shlex.join([*words, *job.target.arguments(), *where])


def exactly(seconds: float) -> str:
    """A duration as an option's value, without rounding."""
    shown = show_duration(seconds)
    return shown if units.duration(shown) == seconds else units.plain(seconds) + "s"
