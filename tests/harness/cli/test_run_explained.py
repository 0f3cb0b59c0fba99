"""For each kind of end the whole screen of ``halfopen run`` names the cause, as do its files."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from halfopen.netns.exit_codes import ExitCode
from tests.harness.cli.tool import Ran, by_scenario, halfopen
from tests.machine import needs_guest, needs_nginx
from tests.planted import ending
from tests.screens import renewed

SCREENS = Path(__file__).with_name("screens") / "explained"
REPORTS = Path(__file__).parents[2] / "reports"
SERVER = f"{sys.executable} {ending.__file__} {{host}} {{port}}"

#: Kinds of end: the way of the planted server, and the arguments of the call.
KINDS = {
    "close_code": ("wants_token", "alive/active"),
    "handler_raises": ("raises", "alive/active"),
    "reset": ("resets", "alive/active"),
    "fin": ("write_deadline", "alive/trickle_4k"),
    "crash": ("crashes", "alive/active"),
    "keepalive_of_the_server": ("pings_only", "dead/frozen_silent", "--grace", "12s"),
    "keepalive_of_the_kernel": ("kernel_keepalive", "dead/vanished_silent", "--grace", "10s", "--hold", "60s"),
    "user_timeout": ("kernel_deadline", "alive/outage_20s_rtt20"),
    "chatty": ("chatters", "alive/active"),
}
#: The code and the reason of the server's close frame; None for both where there was none.
CODES = {
    "close_code": (4401, "send your token first"),
    "handler_raises": (1011, ""),
    "keepalive_of_the_server": (1011, "keepalive ping timeout"),
    "chatty": (1008, "room is full"),
}
#: What differs between machines and versions: our paths, frames of libraries, the time by this machine.
_DIFFERENT = (
    (re.escape(sys.executable), "python"),
    (r"/\S*/planted/ending\.py", "ending.py"),
    (r'^ +File "/\S*/(site-packages|lib/python3\.\d+)/\S+", line .*\n(?! +File)(.*\n)', ""),
    (r"^ *[\^~]+\n", ""),
    (r"/\S*/tests/reports/", "reports/"),
    (r"(passed|failed|inconclusive) in [\d.]+m?s", r"\1 in 1s"),
    (r"/\S*/out/", "out/"),
)


def explained(folder: Path, server: str, *arguments: str, cwd: Path | None = None) -> Ran:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    call = ("--server", server, "--clock", "virtual", "--seed", "7", "--out", str(folder / "out"))
    return halfopen("run", *arguments, *call, env=environment, cwd=cwd)


def screen(done: Ran) -> str:
    """Return the output from the table on, since the runs and the profile are reported in any order before."""
    shown = done.out[done.out.index("\nscenario ") + 1 :]
    for pattern, instead in _DIFFERENT:
        shown = re.sub(pattern, instead, shown, flags=re.MULTILINE)
    return shown


@needs_guest
@pytest.mark.parametrize("kind", KINDS)
def test_the_screen_names_the_cause(kind: str, tmp_path: Path) -> None:
    way, *arguments = KINDS[kind]
    done = explained(tmp_path, f"{SERVER} {way}", *arguments)
    assert done.code in (ExitCode.FAILED, ExitCode.INCONCLUSIVE), done
    renewed(SCREENS / f"{kind}.txt", screen(done))
    (run,) = by_scenario(tmp_path / "out").values()
    assert (run["close_code"], run["close_reason"]) == CODES.get(kind, (None, None))
    story = "".join(ET.parse(tmp_path / "out" / "junit.xml").getroot().itertext())
    assert str(run["cause"] or "server said:") in story


@needs_guest
@needs_nginx
def test_the_screen_names_the_proxy(tmp_path: Path) -> None:
    done = explained(tmp_path, "sh run.sh {host} {port}", "quiet_room.toml", cwd=REPORTS / "nginx_60s")
    assert done.code == ExitCode.FAILED, done
    renewed(SCREENS / "proxy.txt", screen(done))


@needs_guest
def test_a_held_session_has_a_holder_and_no_cause(tmp_path: Path) -> None:
    explained(tmp_path, f"{SERVER} pings_only", "dead/frozen_silent", "--grace", "8s")
    run = by_scenario(tmp_path / "out")["frozen_silent"]
    assert (run["ended"], run["cause"], run["close_code"]) == (None, None, None)
    holder, habit = run["held_by"]
    assert holder.startswith("python (pid ")
    assert "ending.py" in holder
    assert habit == "it sent 1 small message, as pings are, since the client was last heard at 0.0s, and got no answer"
    assert run["threads"]


@needs_guest
def test_no_ping_is_said_to_wait_in_the_socket_of_a_server_that_sends_none(tmp_path: Path) -> None:
    explained(tmp_path, f"{SERVER} reads_nothing", "dead/frozen")
    run = by_scenario(tmp_path / "out")["frozen"]
    waiting = run["held_by"][1]
    assert re.fullmatch(r"\d+ kB wait in its socket, and it sends no pings", waiting), waiting
