"""The field report in Markdown, from field.json alone: the same file gives the same text. Pure."""

from __future__ import annotations

import statistics
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from halfopen.model import printed_stacks
from halfopen.netns.units import show_bytes, show_duration
from halfopen.results import words
from halfopen.results.words import Run
from halfopen.run import hindrances
from halfopen.run.hindrances import LeftOut

_WIDTH = 120
#: Seconds of silence from which on a neighbour counts as kept waiting.
_STARVED = 1.0

_TITLES: dict[printed_stacks.Finding, str] = {
    "keepalive_waits": "The keepalive waits behind the data",
    "writer_waits": "The stream waits, and nothing else does",
    "nothing_waits": "Nothing waits any more, and the socket is still held",
    "silent": "Not said",
}
_WHY: dict[printed_stacks.Finding, str] = {
    "keepalive_waits": """\
The ping is itself stuck in sending, in the same queue or before the same lock as the data that the client does not
take. The wait for its answer begins only once it is sent, so it never runs out.""",
    "writer_waits": """\
The task, thread or queue that sends waits for the client to take the data. No keepalive waits with it. Either there
is none, or its action on running out (an ordinary close, say) waits its turn behind the data too.""",
    "nothing_waits": """\
No task or thread is in the middle of sending. The server has given the session up, or left the bytes to its event
loop. The queued bytes still have to leave before the socket closes, and they never do.""",
    "silent": "These servers printed no stacks.",
}


def render(table: Mapping[str, Any]) -> str:
    """Return the report. ``table`` is the content of field.json (halfopen.results.comparison.field_as_table)."""
    parts = [_introduction, _tables, _sums, _pairs, _neighbours, _servers]
    parts += [_findings, _misses, _false_reaps, _unproved, _again]
    ordered = {**table, "targets": _fixes_below(table["targets"])}
    sections = ("\n".join(part(ordered)).strip("\n") for part in parts)
    return "\n\n".join(section for section in sections if section) + "\n"


def _fixes_below(targets: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the servers, each followed by itself with its fix."""
    names = {target["name"] for target in targets}
    ordered = []
    for target in targets:
        if target.get("fixes") not in names:
            ordered += [target, *(other for other in targets if other.get("fixes") == target["name"])]
    return ordered


def _introduction(table: Mapping[str, Any]) -> Iterator[str]:
    fixed = {target["name"] for target in table["targets"] if target.get("fixes")}
    dead = [run for run in _proved(table["runs"]) if run["truth"] == "dead"]
    guarded = {target["name"] for target in table["targets"] if target.get("guarded")} - fixed
    as_they_come = [run for run in dead if run["target"] not in fixed | guarded]
    under_guard = [run for run in dead if run["target"] in guarded]
    with_fix = [run for run in dead if run["target"] in fixed]
    grace, poll = show_duration(table["grace_s"]), show_duration(table["poll_s"])
    yield "# Field report\n\n<!-- Made by `make field-report` from results; not to be edited. -->\n"
    yield _wrapped(
        f"{len(table['targets']) - len(fixed | guarded)} servers, written as their users would write them, each face "
        "the same clients. Some clients die in the ways that TCP allows. Some are alive and merely slow, far, paused "
        f"or out of reach for a while. Of {len(as_they_come)} sessions whose client was dead, "
        f"{len(_missed(as_they_come))} were still held when observation ended."
    )
    if fixed:
        yield ""
        yield _wrapped(
            "Below a server stands the same server with its fix ([docs/fixes](fixes/README.md)). With their fixes they "
            f"held {len(_missed(with_fix))} of {len(with_fix)} such sessions."
        )
    if guarded:
        yield ""
        yield _wrapped(
            "Rows that end in `guarded` are the same servers, unchanged, under [`halfopen guard`](guard.md). They held "
            f"{len(_missed(under_guard))} of {len(under_guard)} such sessions."
        )
    yield ""
    for_it = "Only the fixes were made for that grace" if fixed else "None of these servers was configured with either"
    yield _wrapped(
        f"halfopen {table['halfopen']}, {words.conditions(table).replace(';', ',')}. A reap is expected within a grace "
        f"of {grace} and a poll of {poll}. {for_it}."
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _proved(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run["verdict"] in {"passed", "failed"}]


def _tables(table: Mapping[str, Any]) -> Iterator[str]:
    yield "## Reaps by scenario\n"
    yield "```text"
    yield from words.LEGEND
    yield "```"
    for suite in dict.fromkeys(run["suite"] for run in table["runs"]):
        runs = [run for run in table["runs"] if run["suite"] == suite]
        names = list(dict.fromkeys(run["scenario"] for run in runs))
        yield f"\n### {suite}\n"
        # Keep each number on the same line as its name.
        yield (
            _wrapped(", ".join(f"{number}\0`{name}`" for number, name in enumerate(names, 1))).replace("\0", " ")
            + ".\n"
        )
        yield "```text"
        yield from _grid(runs, names, [target["name"] for target in table["targets"]])
        yield "```"


def _grid(runs: Sequence[Run], names: Sequence[str], targets: Sequence[str]) -> Iterator[str]:
    shown = {(run["target"], run["scenario"]): words.cell(run) for run in runs}
    first = max(map(len, targets))
    column = max(len(str(len(names))), *map(len, shown.values()))
    yield " " * first + "".join(f" {number:>{column}}" for number in range(1, len(names) + 1))
    for target in targets:
        row = (shown.get((target, name), "") for name in names)
        yield (f"{target:<{first}}" + "".join(f" {text:>{column}}" for text in row)).rstrip()


def _sums(table: Mapping[str, Any]) -> Iterator[str]:
    yield "## Totals\n"
    yield (
        "| server | dead: reaped | missed | seconds: median | longest | alive: kept | falsely reaped "
        "| not proved, or not applicable |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for target in table["targets"]:
        tried = [run for run in table["runs"] if run["target"] == target["name"]]
        proved = _proved(tried)
        took = [run["latency_s"] for run in proved if run["latency_s"] is not None]
        counts = {klass: sum(run["class"] == klass for run in proved) for klass in words.LETTERS}
        row = (
            f"`{target['name']}`",
            counts["true_reap"],
            counts["missed"],
            f"{statistics.median(took):.1f}" if took else "",
            f"{max(took):.1f}" if took else "",
            counts["true_keep"],
            counts["false_reap"],
            len(tried) - len(proved) or "",
        )
        yield _row(row)
    yield from _price(table["runs"])


def _price(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the false reaps of the servers that reap all dead clients."""
    dead = [run for run in _proved(runs) if run["truth"] == "dead"]
    careless = {run["target"] for run in _missed(dead)}
    watchful = dict.fromkeys(run["target"] for run in dead if run["target"] not in careless)
    false = Counter(run["target"] for run in _proved(runs) if run["class"] == "false_reap")
    if watchful:
        who = ", ".join(f"`{name}` ({false[name]})" for name in watchful)
        yield "\n" + _wrapped(f"Reap every one of the dead, and so many of the living: {who}.")


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield each server that has a fix, as it comes and with it."""
    names = {target["name"] for target in table["targets"]}
    fixed = [target for target in table["targets"] if target.get("fixes") in names]
    if not fixed:
        return
    yield "## With the fix\n"
    yield "| server | | dead: held | reaped, but too late or not completely | alive: reaped |"
    yield "|---|---|---|---|---|"
    for target in fixed:
        for name, how in ((target["fixes"], "as it comes"), (target["name"], "with its fix")):
            yield _row((f"`{name}`", how, *_wrongs(table["runs"], name)))


def _neighbours(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the longest silence of a bystander, for each server that keeps one waiting."""
    runs = [run for run in _proved(table["runs"]) if run.get("silence_s") is not None]
    if not runs:
        return
    names = list(dict.fromkeys(run["scenario"] for run in runs))
    starving = {run["target"] for run in runs if run["silence_s"] >= _STARVED}
    yield "## The price for the neighbours\n"
    yield _wrapped(
        "One of five clients is in trouble, and nothing is done to the others. The table has the longest time, in "
        f"seconds, for which one of them received nothing. A time of {show_duration(_STARVED)} or more is shown."
    )
    served = len({run["target"] for run in runs}) - len(starving)
    if starving:
        yield f"\n| server | {' | '.join(f'`{name}`' for name in names)} |"
        yield "|---" * (len(names) + 1) + "|"
    for target in (target["name"] for target in table["targets"] if target["name"] in starving):
        silences = {run["scenario"]: run["silence_s"] for run in runs if run["target"] == target}
        cells = (silences.get(name) for name in names)
        yield _row((f"`{target}`", *("" if s is None or s < _STARVED else f"{s:.1f}" for s in cells)))
    most = max((run["silence_s"] for run in runs if run["target"] not in starving), default=0.0)
    whose = "The others" if starving else "Nobody waits: these servers"
    yield f"\n{whose} ({served}) serve the neighbours with gaps of at most {show_duration(round(most, 1))}."


def _wrongs(runs: Sequence[Run], name: str) -> tuple[int, int, int]:
    """Return the numbers of dead clients held, of those reaped too late or not completely, and of live ones reaped."""
    failed = [run for run in runs if run["target"] == name and run["verdict"] == "failed"]
    counts = Counter(run["class"] for run in failed)
    return counts["missed"], counts["true_reap"], counts["false_reap"]


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(text).replace('|', chr(92) + '|') for text in cells)} |"


def _servers(table: Mapping[str, Any]) -> Iterator[str]:
    yield "## The servers\n"
    yield "| server | description | command | versions |"
    yield "|---|---|---|---|"
    for target in table["targets"]:
        edge = f", behind {target['edge']}" if target["edge"] else ""
        yield _row((f"`{target['name']}`", target["title"], f"`{target['command']}`{edge}", target["versions"]))


def _missed(runs: Sequence[Run]) -> list[Run]:
    return [run for run in _proved(runs) if run["class"] == "missed"]


def _findings(table: Mapping[str, Any]) -> Iterator[str]:
    by_finding: dict[printed_stacks.Finding, dict[str, int]] = {}
    for run in _missed(table["runs"]):
        of_it = by_finding.setdefault(printed_stacks.finding(run["stacks"]), {})
        of_it[run["target"]] = of_it.get(run["target"], 0) + 1
    if by_finding:
        yield "## Why dead sessions are held\n"
    for word, title in _TITLES.items():
        if word in by_finding:
            who = ", ".join(f"`{name}` ({count})" for name, count in by_finding[word].items())
            yield _wrapped(f"**{title}.** {_WHY[word]} Misses by server: {who}.") + "\n"


def _misses(table: Mapping[str, Any]) -> Iterator[str]:
    for target in table["targets"]:
        missed = [run for run in _missed(table["runs"]) if run["target"] == target["name"]]
        if missed:
            yield f"### `{target['name']}`: {target['title']}\n"
        by_gist: dict[tuple[str, ...], list[Run]] = {}
        for run in missed:
            by_gist.setdefault((printed_stacks.gist(run["stacks"]), *run["complaints"]), []).append(run)
        for alike in by_gist.values():
            yield _wrapped(f"Held in {', '.join(map(_held, alike))}.")
            yield from _quoted("", printed_stacks.telling(alike[0]["stacks"]))
            yield from _quoted("\nMeanwhile it complained:", alike[0]["complaints"])
            yield ""


def _quoted(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}\n\n```text" if title else "\n```text"
        yield from lines
        yield "```"


def _held(run: Run) -> str:
    since = words.ago(run["duration_s"] - run["fault_at_s"])
    stuck = f"{show_bytes(run['stuck_bytes'])} stuck" if run["stuck_bytes"] else words.queued(0)
    return f"`{run['scenario']}` ({since} after the fault, {stuck})"


def _false_reaps(table: Mapping[str, Any]) -> Iterator[str]:
    reaped = [run for run in _proved(table["runs"]) if run["class"] == "false_reap"]
    if not reaped:
        return
    yield "## Live clients that were reaped, as the server's kernel saw them\n"
    yield "| server | scenario | reaped at | before the reap |"
    yield "|---|---|---|---|"
    for run in reaped:
        at = "" if run["reaped_at_s"] is None else show_duration(run["reaped_at_s"])
        yield _row((f"`{run['target']}`", f"`{run['scenario']}`", at, run["known_at_reap"] or ""))


def _unproved(table: Mapping[str, Any]) -> Iterator[str]:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for run in table["runs"]:
        if run["verdict"] in {"inconclusive", "not_applicable"}:
            inapplicable = run["verdict"] == "not_applicable"
            why = "not applicable to these servers" if inapplicable else run["why"]
            by_reason.setdefault((run["scenario"], why), []).append(run["target"])
    notes = hindrances.notes([LeftOut(**entry) for entry in table["left_out"]])
    if not by_reason and not notes:
        return
    yield "## Not proved, or not tried\n"
    for (scenario, why), who in by_reason.items():
        yield f"- `{scenario}`: {why} ({', '.join(f'`{name}`' for name in who)})"
    yield from (f"- {line}" for line in notes)


def _again(table: Mapping[str, Any]) -> Iterator[str]:
    if not table["targets"]:
        return
    file = table["targets"][0]["file"]
    yield "## How to reproduce it\n"
    yield "`make servers` installs the servers. `make field-report` makes this report again. One cell is:\n"
    yield "```console"
    yield '$ eval "$(scripts/servers --environment)"'
    yield f"$ halfopen run dead/frozen --target {file} --clock {table['clock']} --seed {table['seed']}"
    yield "```"
