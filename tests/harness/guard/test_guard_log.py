"""Lines of a guard, compared whole."""

from __future__ import annotations

import io
import json
import re
from typing import NoReturn

import pytest

from halfopen.guard.decision import BrakeReport, GuardVerdict, LimitReport
from halfopen.guard.guard_log import GuardLog
from halfopen.guard.reap_limit import ReapLimit
from halfopen.guard.socket_ender import EndResult, Means
from halfopen.liveness.common_outage import CommonOutageReport
from halfopen.liveness.death import Death, Reason
from halfopen.liveness.reading import Reading
from tests.harness.watch.sightings import shut, sighting


def result(
    reason: Reason, state: str = "ESTABLISHED", means: Means | None = "duplicate", *, is_again: bool = False
) -> EndResult:
    seen = shut(outq=2_600_000) if state == "ESTABLISHED" else sighting(state=state, outq=100)
    verdict = GuardVerdict(seen, Reading.of(seen.info), Death(reason, seen.outq, 31.04, state), 31.04, is_again)
    return EndResult(verdict, means, pid=4242, process="python")


def written(log_result: EndResult, *, is_dry: bool = False) -> str:
    stream = io.StringIO()
    GuardLog(stream, json=False).result(log_result, is_dry=is_dry)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("reason", "state", "evidence"),
    [
        ("send_stall", "ESTABLISHED", "nothing acknowledged for 31s; 2.6 MB queued, window 0 B"),
        ("unreachable", "ESTABLISHED", "no answer for 31s; 2.6 MB queued"),
        ("peer_closed", "CLOSE_WAIT", "the client closed it 31s ago, the server has not; 100 B queued"),
        (
            "no_answer",
            "FIN_WAIT1",
            "the server closed its side, and the client has not answered for 31s; 100 B queued",
        ),
    ],
)
def test_a_reap_has_its_evidence(reason: Reason, state: str, evidence: str) -> None:
    head = f"halfopen guard: reaped 10.0.0.2:40001 ({reason.replace('_', ' ')})"
    assert written(result(reason, state)) == f"{head}: {evidence}; held by process 4242 (python)\n"


def test_the_other_lines_on_a_session() -> None:
    evidence = "nothing acknowledged for 31s; 2.6 MB queued, window 0 B"
    assert written(result("send_stall", means="sock_destroy")).endswith("(python) (SOCK_DESTROY)\n")
    assert written(result("send_stall", means=None), is_dry=True) == (
        f"halfopen guard: would reap 10.0.0.2:40001 (send stall): {evidence}; held by process 4242 (python)\n"
    )
    assert written(result("send_stall")._replace(pid=None, process=None)).endswith(
        "; held by no process that can be seen\n"
    )
    assert written(result("no_answer", "FIN_WAIT1", is_again=True)) == (
        "halfopen guard: 10.0.0.2:40001 is still open: process 4242 (python) has not closed it since it was ended\n"
    )


BRAKES: list[tuple[BrakeReport, str, dict[str, object]]] = [
    (
        LimitReport("held", 36, 40, ReapLimit()),
        "HOLDING: 36 of 40 sessions look dead beyond --max-reaps 10%/min; they wait",
        {"event": "hold", "cause": "max_reaps", "waiting": 36, "sessions": 40},
    ),
    (
        LimitReport("over", 0, 40, ReapLimit()),
        "resuming: no verdict waits for --max-reaps 10%/min any more",
        {"event": "resume", "cause": "max_reaps", "waiting": 0, "sessions": 40},
    ),
    (
        CommonOutageReport("held", 8, 10, 45.0, 90.0),
        "HOLDING: 8 of 10 sessions went dark at once 45.0 s ago",
        {"event": "hold", "cause": "common_outage", "waiting": 8, "sessions": 10},
    ),
    (
        CommonOutageReport("over", 1, 10, 60.0, 90.0),
        "resuming: the common outage is over after 60.0 s",
        {"event": "resume", "cause": "common_outage", "waiting": 1, "sessions": 10},
    ),
]


@pytest.mark.parametrize(("report", "text", "data"), BRAKES)
def test_the_brake_is_reported(report: BrakeReport, text: str, data: dict[str, object]) -> None:
    plain, as_json = io.StringIO(), io.StringIO()
    GuardLog(plain, json=False).brake(report)
    GuardLog(as_json, json=True).brake(report)
    assert plain.getvalue().startswith(f"halfopen guard: {text}")
    assert plain.getvalue().count("\n") == 1
    loaded = json.loads(as_json.getvalue())
    assert data.items() <= loaded.items()
    assert loaded["text"] in plain.getvalue()


def test_json_has_the_same_and_the_kernels_counters() -> None:
    stream = io.StringIO()
    GuardLog(stream, json=True).result(result("send_stall"))
    event = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", event.pop("at"))
    assert event.pop("text") in written(result("send_stall"))
    evidence = event.pop("evidence")
    assert event == {
        "event": "reap",
        "client": "10.0.0.2:40001",
        "local": "10.0.0.1:5090",
        "reason": "send_stall",
        "state": "ESTABLISHED",
        "stuck_s": 31.04,
        "queued_bytes": 2_600_000,
        "pid": 4242,
        "process": "python",
        "means": "duplicate",
    }
    assert (evidence["bytes_acked"], evidence["notsent"], evidence["snd_wnd"]) == (1000, 2_600_000, 0)


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    class Full(io.StringIO):
        def flush(self) -> NoReturn:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        GuardLog(stream, json=False).note("guarding", "guarding")
