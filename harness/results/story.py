"""The story of a run, remarks on all runs of a call, and the history of a test's client. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from halfopen.model import evidence
from halfopen.model.evidence import Stall
from halfopen.model.timeline import Sample, Timeline
from halfopen.netns.units import show_bytes, show_duration
from halfopen.results import explanation, fixes, words
from halfopen.results.baseline import Baseline, standing
from halfopen.results.explanation import SERVER_SAID, Explanation
from halfopen.run.runner import Job, RunResult
from halfopen.scenario.spec import SUBJECT, Step
from halfopen.verdict import resources
from halfopen.verdict.crowd_verdict import sentences
from halfopen.verdict.findings import Findings, Span
from halfopen.verdict.judge import Verdict

#: Seconds. Shorter waits between acknowledgements need no sentence.
_SHORT_WAIT = 0.5
#: Seconds. Shorter stalls are left out of a client's history, and of a reap's circumstances.
_SHORT_STALL = 1.0
#: Number of last lines shown of a server's output.
_LAST_LINES = 10
#: Most sentences on other clients in a story, and the order of their verdicts.
_MOST_OTHERS, _WORST_FIRST = 6, ("failed", "inconclusive", "not_applicable", "passed")


def story(run: RunResult, where: Sequence[str] = (), baseline: Baseline | None = None) -> list[str]:
    """Describe the failure, the faults, the evidence and the expectation; end with the command that repeats the run."""
    job, found = run.job, run.verdict.found
    mark = words.STANDINGS[run.verdict.word].mark
    lines = [f"{job.label}   {words.drawn(job.scenario)}", f"  {mark} {run.verdict.why}"]
    parts = [
        *explanation.listed("done:", actions(job, found)),
        *explanation.listed("seen:", kernel_saw(run.timeline, found)),
        *explanation.listed("cost:", [text] if (text := resources.cost(found)) else []),
        *explanation.listed("expected:", [words.expectation(job.scenario.part(SUBJECT), job.terms, found)]),
        *explanation.listed("others:", others(run)),
        *explanation.listed("crowd:", crowd(run)),
        *explanation.lines(explained(run), run.verdict.why, whose(run)),
        *explanation.listed("fix:", [page] if (page := fixes.page(run)) else []),
    ]
    lines += [f"    {part}" for part in parts]
    if baseline is not None and (known := baseline.of(run)):
        now = run.verdict.klass if run.verdict.word == "failed" else run.verdict.word
        lines.append(f"    the known failure is another ({known}); this one is {now}")
    lines.append(f"again:   {again(job, where)}")
    return lines


def whose(run: RunResult) -> str:
    """Return the name of the client that is explained; empty for the subject."""
    return "" if run.blamed == SUBJECT else run.blamed


def others(run: RunResult) -> list[str]:
    """One sentence for each other client: the verdict on its session, the worst first. Equal ones are joined."""
    sentences: dict[tuple[str, str], list[str]] = {}
    for name, verdict in run.others.items():
        why = "as expected" if verdict.word == "passed" and run.verdict.word != "passed" else verdict.why
        sentences.setdefault((verdict.word, why), []).append(name)
    ranked = sorted(sentences.items(), key=lambda entry: _WORST_FIRST.index(entry[0][0]))
    shown = [f"{words.STANDINGS[word].mark} {', '.join(names)}: {why}" for (word, why), names in ranked]
    if len(shown) <= _MOST_OTHERS:
        return shown
    return [*shown[:_MOST_OTHERS], f"({len(shown) - _MOST_OTHERS} more in results.json)"]


def crowd(run: RunResult) -> list[str]:
    """One sentence for the verdict on the crowd, unless it passed, and one for each subject of its findings."""
    verdict = run.crowd
    if verdict is None:
        return []
    complaint = [] if verdict.word == "passed" else [f"{words.STANDINGS[verdict.word].mark} {verdict.why}"]
    return [*complaint, *sentences(verdict.found)]


def explained(run: RunResult) -> Explanation:
    """Return the explanation of a run, of the client that its verdict is about; empty for one that passed."""
    if (name := run.blamed) == SUBJECT:
        return explanation.explain(run.timeline, run.subject, run.profile)
    return explanation.explain(run.timeline.others.get(name, Timeline()), run.others[name], run.profile)


def actions(job: Job, found: Findings) -> list[str]:
    """One sentence for each fault: its time, and its effect on the client, the link or the server."""
    begun = {span.step: span for span in found.spans}
    own = [_action(step, begun.get(number), found) for number, step in enumerate(job.scenario.steps_on(SUBJECT))]
    others = [step for step in job.scenario.steps if step.on != SUBJECT]
    return own + [f"at {words.moment(step.at, job.terms)} {words.fault(step)} (on {step.on})" for step in others]


def _action(step: Step, span: Span | None, found: Findings) -> str:
    if span is None:
        return f"the run ended before {words.fault(step)}"
    over = found.looked_until if found.ended_at is None else found.ended_at
    until = "to the end" if span.until >= over else f"until {span.until:.1f}s"
    return f"at {span.begun:.1f}s {words.fault(step)} ({until})"


def kernel_saw(timeline: Timeline, found: Findings) -> list[str]:
    """Describe the server kernel's evidence for the session: before the fault, in the stall, at the end."""
    samples = evidence.established(timeline)
    if not samples:
        return ["the server's socket was never seen open"]
    stall = found.stall or evidence.longest_stall([s for s in samples if s.t >= (found.fault_at or 0.0)])
    if stall is not None and stall.seconds > _SHORT_WAIT:
        before = [] if found.fault_at is None else [_before(samples, found.fault_at)]
        sentences = [*before, _stalled(stall, found), _dying(stall)]
    else:
        sentences = [f"{show_bytes(evidence.acknowledged(samples))} acknowledged in all, without a wait"]
    return [*sentences, _end(timeline, samples[-1], found)]


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
    signs = [f"the peer's window at 0 from {shut:.1f}s" if shut is not None else "the peer's window open"]
    if repeated := last.total_retrans - first.total_retrans:
        signs.append(f"{repeated} retransmission{'' if repeated == 1 else 's'}")
    # A single unanswered probe may just be in flight, even to a peer that answers all.
    if (probes := max(s.probes for s in stall.samples)) > 1:
        signs.append(f"{probes} probes unanswered")
    return ", ".join([*signs, f"{words.last_packet(last)} the end"])


def _end(timeline: Timeline, last: Sample, found: Findings) -> str:
    if found.ended_at is None:
        return f"still {last.state} at {last.t:.1f}s, {words.queued(last.outq)}"
    state = next((s.state for s in timeline.samples if s.t >= found.ended_at and s.state != last.state), None)
    ended = f"the server's side ended at {found.ended_at:.1f}s" + (f" ({state})" if state else "")
    if not found.orphan.bytes:
        return ended
    return f"{ended}; the kernel still held {show_bytes(found.orphan.bytes)} {words.ago(found.orphan.seconds)} later"


def again(job: Job, where: Sequence[str] = ()) -> str:
    """The command that repeats this run exactly. ``where`` has the options for clock and kernel."""
    scenario = job.scenario
    command = ["halfopen", "run", scenario.called, "--seed", str(job.seed)]
    command += ["--grace", words.exactly(job.terms.grace), "--poll", words.exactly(job.terms.poll)]
    if job.detector:
        command += ["--detector", job.detector]
    if job.terms.hold is not None:
        command += ["--hold", words.exactly(job.terms.hold)]
    return shlex.join([*command, *job.target.arguments(), *where])


def summary(done: Sequence[RunResult], wall: float, baseline: Baseline | None = None, left_out: int = 0) -> str:
    """The number of runs by verdict and of scenarios that were left out, and the time the runs took."""
    counts = Counter[str](standing(run, baseline) for run in done)
    verdicts = [
        f"{counts[word]} {words.standing_words(word, counts[word])}" for word in words.STANDINGS if counts[word]
    ]
    verdicts += [words.left_out(left_out)] if left_out else []
    return f"{', '.join(verdicts)} in {words.ago(wall)}"


def remarks(done: Sequence[RunResult], baseline: Baseline | None) -> list[str]:
    """Return remarks on all runs together: known failures, a stale baseline, no proof at all."""
    lines = []
    if baseline is not None:
        known = [run for run in done if baseline.covers(run)]
        lines += [f"known:   {run.job.label} ({baseline.of(run)}): {run.verdict.why}" for run in known]
        lines += [f"fixed:   {name} ({baseline.known[name]}) passed" for name in baseline.fixed(done)]
        lines += [f"unknown: {problem}" for problem in baseline.strays]
        if baseline.is_stale(done):
            lines.append(f"remove fixed and unknown lines from {baseline.file}")
    lines += _costs([run for run in done if run.verdict.word == "passed"])
    if done and not any(run.verdict.word in {"passed", "failed"} for run in done):
        lines.append("no run was conclusive: nothing is known about this server")
    return lines


def _costs(passed: Sequence[RunResult]) -> list[str]:
    """Return a line on the passed run that cost the server most, if any cost it much. Other runs have a story."""
    costly = [run for run in passed if resources.cost(run.verdict.found)]
    if not costly:
        return []
    worst = max(costly, key=lambda run: run.verdict.found.held.memory_growth if run.verdict.found.held else 0)
    others = f"; {len(costly) - 1} more passed at a high cost" if len(costly) > 1 else ""
    return [f"cost:    {worst.job.label}: {resources.cost(worst.verdict.found)}{others}"]


def known_at_reap(done: RunResult) -> str | None:
    """Describe the kernel's evidence on the client at the reap; None if the session was never seen."""
    samples = evidence.established(done.timeline)
    if not samples:
        return None
    last, longest, stall = samples[-1], evidence.longest_stall(samples), evidence.last_stall(samples)
    parts = [f"{show_bytes(evidence.acknowledged(samples))} acknowledged"]
    if longest is not None:
        parts.append(f"at most {words.ago(longest.seconds)} apart")
    if stall is not None and stall.seconds >= _SHORT_STALL:
        parts.append(f"none in the last {words.ago(stall.seconds)}")
    if last.outq:
        parts.append(words.queued(last.outq))
    return ", ".join([*parts, words.last_packet(last)])


def history(timeline: Timeline, verdicts: Sequence[tuple[float, Verdict, str]]) -> list[str]:
    """Return the history of a test's client in the order of time: events, stalls, the last sample, verdicts.

    Each verdict comes with its moment, and with what was expected.
    """
    events = [(max(0.0, at.t), text) for at in timeline.events if (text := words.event(at)) is not None]
    moments = [*events, *_stalls(timeline), *_socket(timeline)]
    for t, verdict, expected in verdicts:
        page = fixes.page_of(verdict, timeline)
        why = explanation.lines(explanation.explain(timeline, verdict), verdict.why)
        why += explanation.listed("fix:", [page] if page else [])
        moments.append((t, f"{words.STANDINGS[verdict.word].mark} {verdict.why}"))
        if verdict.word != "passed" and (cost := resources.cost(verdict.found)):
            moments.append((t, f"  cost: {cost}"))
        moments.append((t, f"\n{'':12}".join([f"  expected: {expected}", *why])))
    moments.sort(key=lambda moment: moment[0])
    return "\n".join(f"{t:7.1f}s  {text}" for t, text in moments).split("\n")


def _stalls(timeline: Timeline) -> Iterator[tuple[float, str]]:
    for stall in evidence.stalls(evidence.established(timeline)):
        if stall.seconds < _SHORT_STALL:
            continue
        yield stall.onset, "last byte acknowledged: a stall begins"
        if not stall.goes_on:
            yield stall.until, f"bytes are acknowledged again, after {show_duration(stall.seconds)}"


def _socket(timeline: Timeline) -> Iterator[tuple[float, str]]:
    if not timeline.samples:
        yield 0.0, "the server's socket was never seen"
        return
    ended = next((sample for sample in timeline.samples if sample.state in evidence.ENDED_STATES), None)
    if ended is not None:
        yield ended.t, f"the server ended its side: {ended.state}, {words.queued(ended.outq)}"
    yield timeline.samples[-1].t, words.socket(timeline.samples[-1])


def printed(timeline: Timeline) -> list[str]:
    """Return the last lines that a server printed, if any."""
    lines = [str(event.data["text"]) for event in timeline.of("target", "output")]
    return [SERVER_SAID, *(f"  {text}" for text in lines[-_LAST_LINES:])] if lines else []
