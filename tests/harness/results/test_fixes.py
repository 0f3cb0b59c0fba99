"""The page of docs/fixes/ that a failure names, and each page: its code is that of the examples."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from halfopen.model.timeline import Event, Sample, Timeline
from halfopen.results import fixes
from halfopen.run.runner import RunResult
from halfopen.scenario import suites, target_spec
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.command import CommandTarget
from halfopen.verdict.judge import judge
from tests.harness.done import SERVER, done, pod_job
from tests.harness.lines import event, flowing, line, orphaned, progress, sample, stuck
from tests.servers import EXAMPLES

ROOT = EXAMPLES.parent
PAGES = sorted((ROOT / "docs" / "fixes").glob("*.md"))
#: Lines of a terminal or window of usual size.
ONE_SCREEN = 72
FREEZE = event(5, "fault", "begun", step=0, fault="freeze")


def judged(
    scenario: str, *parts: Iterable[Sample | Event] | Event, command: str = "serve {port}", server: str | None = None
) -> RunResult:
    timeline = line(event(0, "client", "accepted", status=101, extensions=[], server=server), *parts)
    (found,) = suites.find([scenario])
    job = pod_job(scenario, target=CommandTarget(TargetSpec(server=command)), detector=None)
    return RunResult(job, judge(found, timeline, job.terms), timeline, 1.0)


def held(**options: str) -> RunResult:
    return judged(
        "pod_5090/frozen",
        flowing(0, 5),
        progress(0, 5, acknowledging=False),
        FREEZE,
        stuck(5, 83.5, last_ack_recv=0),
        **options,
    )


@pytest.mark.parametrize(
    ("header", "page"),
    [
        ("Python/3.11 websockets/17.4", "websockets"),
        ("Python/3.11 aiohttp/3.14.5", "aiohttp"),
        ("uvicorn", "asgi"),
        ("daphne", "asgi"),
        ("hypercorn-h11", "hypercorn"),
        ("TornadoServer/6.6.1", "tornado"),
        ("nginx/1.22.1", "nginx"),
    ],
)
def test_the_servers_software_is_known_from_its_handshake(header: str, page: str) -> None:
    assert fixes.page(held(server=header)) == f"{fixes.FOLDER}/{page}.md"


def test_a_server_without_the_header_is_known_from_its_command() -> None:
    assert fixes.page(held(command="/opt/bin/granian app:app --port {port}")) == f"{fixes.FOLDER}/granian.md"
    assert fixes.page(held(command="sanic server:app --port={port}")) == f"{fixes.FOLDER}/sanic.md"


@pytest.mark.parametrize("header", [None, "", "Caddy", "mywebsocketsthing/1"])
def test_unknown_software_leads_to_the_kind_of_failure(header: str | None) -> None:
    run = held(server=header) if header is not None else held()
    assert fixes.page(run) == f"{fixes.FOLDER}/README.md#held-too-long"


def test_a_reap_that_came_too_late_is_one_of_those_that_are_held_too_long() -> None:
    run = judged(
        "pod_5090/frozen",
        flowing(0, 5),
        progress(0, 5, acknowledging=False),
        FREEZE,
        stuck(5, 75, last_ack_recv=0),
        orphaned(75, 76),
    )
    assert (run.verdict.word, run.verdict.klass) == ("failed", "true_reap")
    assert fixes.page(run) == f"{fixes.FOLDER}/README.md#held-too-long"


def test_what_stays_of_a_session_that_was_reaped_in_time_has_a_place_of_its_own() -> None:
    half = [sample(t / 10, state="FIN_WAIT2") for t in range(300, 830)]
    run = judged(
        "pod_5090/frozen",
        flowing(0, 5),
        progress(0, 5, acknowledging=False),
        FREEZE,
        stuck(5, 30, last_ack_recv=0),
        half,
    )
    assert (run.verdict.word, run.verdict.klass) == ("failed", "true_reap")
    assert fixes.page(run) == f"{fixes.FOLDER}/README.md#left-behind"


@pytest.mark.parametrize(
    ("klass", "scenario", "anchor"),
    [
        ("false_reap", "alive/active", "false-reap"),
        ("missed", "ended/clean_close", "close-not-noticed"),
        ("closed", "ended/clean_close", "close-not-noticed"),
        ("not_opened", "dead/frozen", "not-opened"),
        ("true_keep", "alive/active", "left-behind"),
    ],
)
def test_each_kind_of_failure_has_a_section(klass: str, scenario: str, anchor: str) -> None:
    assert fixes.page(done("failed", scenario, klass)) == f"{fixes.FOLDER}/README.md#{anchor}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "reason", "is_on_page"),
    [
        (4401, "token expired", False),
        (1000, "session limit 60 s", False),
        (1001, "ping timeout", True),
        (1000, "", True),
        (1011, "keepalive ping timeout", True),
    ],
)
def test_a_close_of_the_application_is_no_fault_of_the_library(code: int, reason: str, is_on_page: bool) -> None:
    closed = event(20, "client", "close_received", code=code, reason=reason)
    pinged = event(10, "client", "ping_received")
    run = judged("alive/active", flowing(0, 20), progress(0, 20, acknowledging=True), pinged, closed, server="uvicorn")
    assert run.verdict.klass == "false_reap"
    assert fixes.page(run) == f"{fixes.FOLDER}/{'asgi.md' if is_on_page else 'README.md#false-reap'}"


def test_a_crash_is_no_fault_of_the_library() -> None:
    crashed = event(6, "target", "exited", code=1)
    assert fixes.page(held(server="uvicorn")) == f"{fixes.FOLDER}/asgi.md"
    run = judged("pod_5090/frozen", flowing(0, 5), progress(0, 5, acknowledging=False), crashed, server="uvicorn")
    assert fixes.page(run) == f"{fixes.FOLDER}/README.md#crash"


@pytest.mark.parametrize("word", ["passed", "inconclusive", "not_applicable"])
def test_nothing_but_a_failure_has_a_page(word: str) -> None:
    assert fixes.page(done(word)) is None  # type: ignore[arg-type]
    assert SERVER.describe()["kind"] == "command"


def test_nothing_is_known_of_a_server_that_nobody_spoke_with() -> None:
    assert fixes.software(Timeline()) is None


def anchors() -> set[str]:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "fixes" / "README.md").read_text(), re.MULTILINE)
    return {heading.lower().replace(" ", "-") for heading in headings}


def test_every_page_and_every_section_that_can_be_named_exists() -> None:
    named = {*fixes.PRODUCTS.values(), *fixes.COMMANDS.values(), fixes.BROADCAST}
    assert named <= {page.stem for page in PAGES}
    assert set(get_args(fixes.Failure)) == anchors()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_one_screen(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= ONE_SCREEN


def stands_in(piece: list[str], lines: list[str]) -> bool:
    """True if these lines stand in the file one after the other, however far indented."""
    wanted = textwrap.dedent("\n".join(piece))
    starts = range(len(lines) - len(piece) + 1)
    return any(textwrap.dedent("\n".join(lines[at : at + len(piece)])) == wanted for at in starts)


def quoted(page: Path) -> list[tuple[str, list[list[str]]]]:
    """Return each block of code on a page: the file that the comment before it names, and the block's pieces."""
    blocks = re.findall(r"(?:<!-- (\S+) -->\n)?```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [(file, [piece.strip("\n").split("\n") for piece in code.split("\n...\n")]) for file, code in blocks]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "README"], ids=lambda page: page.stem)
def test_the_code_on_a_page_is_that_of_a_server_with_its_fix(page: Path) -> None:
    blocks = quoted(page)
    assert blocks
    for file, pieces in blocks:
        assert file, f"{page}: a block of code names no file"
        lines = (ROOT / file).read_text().splitlines()
        for piece in pieces:
            assert stands_in(piece, lines), f"{page}: not in {file}:\n" + "\n".join(piece)


def test_a_changed_line_is_noticed() -> None:
    lines = ["def f():", "    a()", "    b()"]
    assert stands_in(["a()", "b()"], lines)
    assert not stands_in(["a()", "c()"], lines)


def test_every_server_with_a_fix_is_on_a_page_and_beside_the_server_that_it_fixes() -> None:
    specs = {spec.name: spec for spec in target_spec.find([EXAMPLES])}
    text = "\n".join(page.read_text() for page in PAGES)
    fixed = [spec for spec in specs.values() if spec.fixes]
    assert len(fixed) >= 19
    for spec in fixed:
        assert spec.fixes_name in specs
        folder = Path(str(spec.file)).parent.name
        assert re.search(rf"examples/{folder}/[a-z_]*fixed[a-z_]*\.", text), spec.name


def test_every_server_has_its_fix() -> None:
    specs = target_spec.find([EXAMPLES])
    fixed = {spec.fixes_name for spec in specs}
    folders = {name.rpartition("/")[0] for name in fixed if name}
    assert {spec.name.rpartition("/")[0] for spec in specs} == folders
    # Settings of a server that has its fix under another name.
    others = {"aiohttp/heartbeat", "aiohttp/heartbeat_5s", "asgi/hypercorn_ping", "gorilla/deadlines", "tornado/ping"}
    broadcasts = {"broadcast/builtin", "socketio/rooms"}
    assert {spec.name for spec in specs if not spec.fixes} - fixed == {*others, *broadcasts, "ws/heartbeat"}
