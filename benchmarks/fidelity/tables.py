"""Reports as Markdown tables for docs/clock.md. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from benchmarks.fidelity.intervals import wilson
from benchmarks.fidelity.kernels import Kernel
from benchmarks.fidelity.promises import lateness
from benchmarks.fidelity.readings import Delay, Loss, Report, Wait
from halfopen.netns.units import show_bit_rate, show_duration

Reports = Mapping[Kernel, Report]
T = TypeVar("T")

_NAMES = {
    Kernel.VIRTUAL: "virtual clock",
    Kernel.REAL: "guest, real clock",
    Kernel.HOST: "the machine's kernel",
}


def everything(reports: Reports) -> str:
    """All tables, each below a line that explains its figures."""
    return "\n\n".join(
        f"{caption}\n\n{table}"
        for caption, table in (
            (
                "Greatest lateness of a wait on the virtual clock, in ms, beside the kernel's promise:",
                _virtual_waits(reports),
            ),
            ("The same on a real clock:", _real_waits(reports)),
            ("Time that TCP's timers took on a dark link, in seconds:", _tcp(reports)),
            ("Advance of each clock during one sleep of 10 s, and of CLOCK_MONOTONIC during work:", _clocks(reports)),
            ("One-way delay of 500 packets, one every 2 ms, in ms: mean (least to most):", _delays(reports)),
            ("Loss of 20,000 packets, with Wilson's 95 % confidence interval:", _losses(reports)),
            ("Throughput of 1.25 times the rate, in full frames of 1514 bytes:", _rates(reports)),
        )
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}" if abs(seconds) < 1 else f"{seconds * 1e3:.0f}"


def _by_asked(waits: Iterable[Wait]) -> dict[str, dict[float, Wait]]:
    found: dict[str, dict[float, Wait]] = {}
    for wait in waits:
        if wait.waits == 1 and not wait.way.startswith("TCP"):
            found.setdefault(wait.way, {})[wait.asked] = wait
    return found


def _virtual_waits(reports: Reports) -> str:
    report = reports[Kernel.VIRTUAL]
    by_way = _by_asked(report.waits)
    asked = sorted(next(iter(by_way.values())))
    return _table(
        ["way of waiting", "in the kernel", *map(show_duration, asked), "promised at 1s, 60s"],
        (
            [
                way,
                measured[asked[0]].timer,
                *(_ms(measured[each].late) for each in asked),
                ", ".join(_ms(lateness(measured[each].timer, each, report.jiffy)) for each in (1.0, 60.0)),
            ]
            for way, measured in by_way.items()
        ),
    )


def _real_waits(reports: Reports) -> str:
    kernels = [kernel for kernel in reports if kernel is not Kernel.VIRTUAL]
    by_way = {kernel: _by_asked(reports[kernel].waits) for kernel in kernels}
    asked = sorted(next(iter(by_way[kernels[0]].values())))
    return _table(
        ["way of waiting", *(f"{_NAMES[kernel]}: {show_duration(each)}" for kernel in kernels for each in asked)],
        (
            [way, *(_ms(by_way[kernel][way][each].late) for kernel in kernels for each in asked)]
            for way in by_way[kernels[0]]
        ),
    )


def _tcp(reports: Reports) -> str:
    return _compare(
        reports,
        ["timer", "requested"],
        lambda report: [wait for wait in report.waits if wait.way.startswith("TCP")],
        lambda wait: [wait.way, show_duration(wait.asked)],
        lambda wait: f"{max(wait.took):.3f}",
    )


def _clocks(reports: Reports) -> str:
    clocks = {kernel: report.clocks for kernel, report in reports.items() if report.clocks}
    names = next(iter(clocks.values())).asleep
    rows = [[name, *(f"{each.asleep[name]:.6f} s" for each in clocks.values())] for name in names]
    working = ["work: 5 million squares", *(f"{each.working:.6f} s" for each in clocks.values())]
    return _table(["clock", *(_NAMES[kernel] for kernel in clocks)], [*rows, working])


def _delays(reports: Reports) -> str:
    return _compare(
        reports,
        ["requested", "towards"],
        lambda report: report.delays,
        lambda delay: [_asked_delay(delay), delay.toward],
        lambda delay: f"{_ms(statistics.mean(delay.took))} ({_ms(min(delay.took))} to {_ms(max(delay.took))})",
    )


def _asked_delay(delay: Delay) -> str:
    if not delay.asked:
        return "none"
    return show_duration(delay.asked) + (f" ± {show_duration(delay.jitter)}" if delay.jitter else "")


def _losses(reports: Reports) -> str:
    return _compare(
        reports,
        ["requested", "towards"],
        lambda report: report.losses,
        lambda loss: [f"{loss.asked:.0%}".replace("%", " %"), loss.toward],
        _share,
    )


def _share(loss: Loss) -> str:
    low, high = wilson(loss.lost, loss.sent)
    return f"{loss.lost / loss.sent * 100:.2f} % ({low * 100:.2f} to {high * 100:.2f} %)"


def _rates(reports: Reports) -> str:
    return _compare(
        reports,
        ["requested", "towards"],
        lambda report: report.rates,
        lambda rate: [show_bit_rate(rate.asked), rate.toward],
        lambda rate: f"{rate.measured / 1e3:.2f} kbit/s" if rate.asked < 1e6 else f"{rate.measured / 1e6:.4f} Mbit/s",
    )


def _compare(
    reports: Reports,
    head: Sequence[str],
    of: Callable[[Report], Sequence[T]],
    asked: Callable[[T], list[str]],
    show: Callable[[T], str],
) -> str:
    """A row for each setting, a column for each kernel that has measurements."""
    columns = {kernel: found for kernel, report in reports.items() if (found := of(report))}
    first = next(iter(columns.values()))
    rows = ([*asked(first[at]), *(show(found[at]) for found in columns.values())] for at in range(len(first)))
    return _table([*head, *(_NAMES[kernel] for kernel in columns)], rows)
