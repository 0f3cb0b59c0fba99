"""The page of docs/fixes/ for a failure: by the server's software if it is known, else by the kind of failure. Pure."""

from __future__ import annotations

import re
from typing import Literal

from halfopen import REPOSITORY
from halfopen.model.timeline import Timeline
from halfopen.run.runner import RunResult
from halfopen.verdict import causes, ends, service
from halfopen.verdict.ends import SessionEnd
from halfopen.verdict.findings import Findings
from halfopen.verdict.judge import Verdict, due

#: Kinds of failures, each a section of docs/fixes/README.md.
Failure = Literal["held-too-long", "false-reap", "close-not-noticed", "left-behind", "not-opened", "crash"]

FOLDER = f"{REPOSITORY}/blob/main/docs/fixes"
INDEX = f"{FOLDER}/README.md"
#: Failures that the page of the server's software explains.
_ON_PAGES: frozenset[Failure] = frozenset({"held-too-long", "false-reap"})
#: Page by the name of a product in the Server header of the handshake's answer (RFC 9110, section 10.2.4).
#: Sanic, Granian, ws, Socket.IO and gorilla/websocket send no such header, and HAProxy passes on that of its server.
PRODUCTS = {
    "aiohttp": "aiohttp",
    "daphne": "asgi",
    "granian": "granian",
    "hypercorn": "hypercorn",
    "nginx": "nginx",
    "tornadoserver": "tornado",
    "uvicorn": "asgi",
    "websockets": "websockets",
}
#: Page for clients that were not served because of another.
BROADCAST = "broadcast"
#: Page by the first word of the server's command, for servers that send no header.
COMMANDS = {"daphne": "asgi", "granian": "granian", "hypercorn": "hypercorn", "sanic": "sanic", "uvicorn": "asgi"}


def page(run: RunResult) -> str | None:
    """Return the address of the page for a run, with an anchor if it needs one; None unless it failed.

    No page is on crowds.
    """
    if run.verdict.word != "failed":
        return None
    command = run.job.target.describe().get("command", "")
    if run.subject.word != "failed":
        return _page_of_another(run, command)
    verdict = run.subject
    limit, ended_at = due(run.job.scenario, verdict.found, run.job.terms), verdict.found.ended_at
    is_late = limit is not None and ended_at is not None and ended_at > limit
    return page_of(verdict, run.timeline, leaves=run.job.scenario.truth == "ended", is_late=is_late, command=command)


def _page_of_another(run: RunResult, command: str) -> str | None:
    """Return the page for the first of the other clients that was not as expected; None if all were."""
    name = next((name for name, verdict in run.others.items() if verdict.word == "failed"), None)
    if name is None:
        return None
    verdict, scenario = run.others[name], run.job.scenario.part(name)
    if verdict.klass == "true_keep" and service.unserved(scenario, verdict.found, run.job.terms.seconds) is not None:
        return f"{FOLDER}/{BROADCAST}.md"
    return page_of(verdict, run.timeline.others.get(name, Timeline()), command=command)


def page_of(
    verdict: Verdict, timeline: Timeline, *, leaves: bool = False, is_late: bool = False, command: str = ""
) -> str | None:
    """Return the page for a verdict on a timeline. ``leaves``: the client closed its session by itself."""
    if verdict.word != "failed":
        return None
    failure = _failure(verdict, timeline, leaves, is_late)
    is_on_page = failure in _ON_PAGES and not (failure == "false-reap" and causes.is_of_application(timeline))
    name = software(timeline, command) if is_on_page else None
    return f"{INDEX}#{failure}" if name is None else f"{FOLDER}/{name}.md"


def software(timeline: Timeline, command: str = "") -> str | None:
    """Return the name of the page for the server's software; None if the software is not known or has no page."""
    accepted = timeline.first("client", "accepted")
    header = str((accepted.data.get("server") if accepted else None) or "")
    for product in re.findall(r"[a-z]+", header.lower()):
        if product in PRODUCTS:
            return PRODUCTS[product]
    first = command.split(maxsplit=1)[0] if command.strip() else ""
    return COMMANDS.get(first.rpartition("/")[2])


def _failure(verdict: Verdict, timeline: Timeline, leaves: bool, is_late: bool) -> Failure:
    died = timeline.first("target", "exited") or ends.fatal(timeline, verdict.found)
    if died or timeline.first("client", "protocol_error"):
        return "crash"
    if verdict.klass is None or verdict.klass == "not_opened":
        return "not-opened"
    if verdict.klass == "false_reap":
        raised = causes.handler_raised(SessionEnd(timeline, verdict.found, None))
        return "crash" if raised else "false-reap"
    if leaves or verdict.klass == "closed":
        return "close-not-noticed"
    if verdict.klass in ("true_keep", "refused") or (
        verdict.klass == "true_reap" and not is_late and _left(verdict.found)
    ):
        return "left-behind"
    return "held-too-long"


def _left(found: Findings) -> bool:
    """True if something of the session stayed after its end."""
    listed = any(found.final.get(key) for key in ("listed", "lock_held", "session_threads", "problem"))
    return (
        found.still_held or listed or (found.held is not None and found.held.files_left + found.held.threads_left > 0)
    )
