"""Servers of public bug reports: each gets the right verdict, or a true sentence instead of one."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from halfopen.model import timeline
from halfopen.netns.exit_codes import ExitCode
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from tests.harness.cli.tool import HALFOPEN, Ran, by_scenario, halfopen
from tests.harness.testing import users
from tests.isolated import isolated
from tests.machine import needs_guest, needs_labs, needs_nginx, needs_servers
from tests.netns.network import PORT, eventually
from tests.servers import environment

REPORTS = Path(__file__).parents[1] / "reports"
VIRTUAL = ("--clock", "virtual", "--seed", "7")
SERVER = "python server.py --host {host} --port {port}"


def ran(case: str, out: Path, *arguments: str, clock: tuple[str, ...] = VIRTUAL) -> Ran:
    """Run scenarios in the report's folder."""
    return halfopen("run", *arguments, *clock, "--out", str(out), cwd=REPORTS / case, env=environment())


def runs(case: str, out: Path, *arguments: str, clock: tuple[str, ...] = VIRTUAL) -> dict[str, dict[str, Any]]:
    done = ran(case, out, *arguments, clock=clock)
    assert done.code in (ExitCode.PASSED, ExitCode.FAILED, ExitCode.INCONCLUSIVE), done
    return by_scenario(out)


def uploading(folder: Path, size: int) -> str:
    """Return a target file whose clients first send a message of so many bytes."""
    file = folder / f"upload_{size}.toml"
    file.write_text(f'[target]\nserver = "overridden"\nsend = ["{"x" * size}"]\n')
    return str(file)


def verdict(run: dict[str, Any]) -> tuple[str, str | None]:
    return run["verdict"], run["class"]


@needs_guest
@needs_servers
def test_a_server_that_wants_a_token_first_is_quoted_and_not_blamed(tmp_path: Path) -> None:
    run = runs("auth_close", tmp_path, "alive/active", "--server", SERVER)["active"]
    assert run["verdict"] == "inconclusive"
    assert "closed by the server with 4401 'send your token first'" in run["why"]
    assert (run["close_code"], run["close_reason"]) == (4401, "send your token first")
    for text in (run["why"], run["cause"]):
        assert "--send" in text


@needs_guest
@needs_servers
def test_a_server_that_wants_a_heartbeat_is_not_blamed_if_its_client_has_none(tmp_path: Path) -> None:
    run = runs("client_heartbeat", tmp_path, "alive.toml", "--target", "pushes_rarely.toml")["alive"]
    assert run["verdict"] == "inconclusive"
    assert "may want a heartbeat" in run["why"]


@needs_guest
@needs_servers
def test_a_client_without_its_heartbeat_is_reaped_though_little_is_pushed(tmp_path: Path) -> None:
    run = runs("client_heartbeat", tmp_path, "dead/frozen", "--target", "pushes_often.toml")["frozen"]
    assert verdict(run) == ("passed", "true_reap"), run["why"]


@needs_guest
@needs_servers
def test_a_socket_left_in_close_wait_is_missed(tmp_path: Path) -> None:
    server = "node server.js {host} {port} 0"
    for run in runs("close_wait", tmp_path, "dead/killed", "dead/half_closed", "--server", server).values():
        assert verdict(run) == ("failed", "missed"), run["why"]
        assert run["why"].startswith("session still held 78s after the ")


@contextlib.contextmanager
def running(host: Host, command: list[str], folder: Path) -> Iterator[None]:
    with host.entered():
        process = subprocess.Popen(command, cwd=folder, env=environment())
    try:
        yield
    finally:
        process.kill()
        process.wait()


@needs_servers
@isolated
def test_watch_lists_a_session_left_in_close_wait_and_exits_with_1() -> None:
    def watch(grace: str) -> Ran:
        with host.entered():
            return halfopen("watch", "--once", "--listen", str(PORT), "--grace", grace)

    def leak() -> bool:
        with host.entered(), contextlib.suppress(OSError), connect(f"ws://127.0.0.1:{PORT}", proxy=None) as client:
            client.socket.close()
            return True
        return False

    with Lab() as lab:
        host = lab.host("host")
        with running(host, ["node", "server.js", "127.0.0.1", str(PORT), "0"], REPORTS / "close_wait"):
            eventually(leak, "the server accepts a client, which leaves")
            eventually(lambda: watch("1s").code == ExitCode.FAILED, "the session is in CLOSE_WAIT for the grace")
            assert "127.0.0.1:" in watch("1s").out
            assert watch("1h").code == ExitCode.PASSED


@needs_guest
@needs_servers
def test_a_process_that_crashes_and_is_restarted_has_not_reaped_its_client(tmp_path: Path) -> None:
    run = runs("crash_restart", tmp_path, "dead/killed", "--server", "sh run.sh {host} {port}")["killed"]
    assert run["verdict"] == "failed"
    assert run["why"].startswith("the process that served the session (pid ")


@needs_guest
@needs_servers
def test_a_server_that_insists_on_compression_is_quoted_and_not_blamed(tmp_path: Path) -> None:
    run = runs("deflate", tmp_path, "alive/active", "--server", f"{SERVER} --insist")["active"]
    assert run["verdict"] == "inconclusive"
    assert "closed by the server with 1010 'compression, please'" in run["why"]
    assert "compression = true" in run["why"]
    assert "compression = true" in run["cause"]


@needs_guest
@needs_servers
def test_a_server_that_insists_on_compression_gets_it_by_a_header(tmp_path: Path) -> None:
    header = "Sec-WebSocket-Extensions: permessage-deflate"
    run = runs(
        "deflate", tmp_path, "alive/active", "--hold", "9s", "--header", header, "--server", f"{SERVER} --insist"
    )
    assert verdict(run["active"]) == ("passed", "true_keep"), run["active"]["why"]


@needs_guest
@needs_servers
def test_a_server_for_ipv6_alone_is_refused_in_one_line(tmp_path: Path) -> None:
    done = ran("ipv6", tmp_path, "alive/active", "--server", f"{SERVER} --only")
    assert done.code == ExitCode.USAGE
    (line,) = done.err.splitlines()
    assert "for IPv6 only" in line


@needs_guest
@needs_servers
def test_a_client_frozen_within_one_large_message_is_missed_and_a_slow_one_is_kept(tmp_path: Path) -> None:
    scenarios = ("frozen_mid.toml", "first_sync_draining.toml", "first_sync.toml")
    found = runs("large_message", tmp_path, *scenarios, "--server", SERVER)
    assert verdict(found["frozen_mid"]) == ("failed", "missed"), found["frozen_mid"]["why"]
    for name in ("first_sync_draining", "first_sync"):
        assert verdict(found[name]) == ("passed", "true_keep"), found[name]["why"]


@needs_guest
@needs_servers
def test_a_server_that_pushes_rarely_and_never_receives_is_judged(tmp_path: Path) -> None:
    scenarios = ("dead/frozen", "dead/vanished", "alive/active", "alive/trickle_16k", "quiet_killed.toml")
    found = runs("push_only", tmp_path, *scenarios, "quiet_alive.toml", "--target", "target.toml")
    for name in ("frozen", "vanished"):
        assert verdict(found[name]) == ("failed", "missed"), found[name]["why"]
    for name in ("active", "quiet_alive"):
        assert verdict(found[name]) == ("passed", "true_keep"), found[name]["why"]
    assert verdict(found["trickle_16k"]) == ("not_applicable", None)
    assert found["trickle_16k"]["why"].startswith("needs a server that streams")
    assert verdict(found["quiet_killed"]) == ("failed", "true_reap")
    assert found["quiet_killed"]["why"] == "the session is still listed though its socket is gone"


@needs_guest
@needs_servers
def test_a_server_of_server_sent_events_is_not_opened_with_a_hint(tmp_path: Path) -> None:
    run = runs("sse", tmp_path, "dead/frozen", "--server", "uvicorn app:app --host {host} --port {port}")["frozen"]
    assert verdict(run) == ("failed", "not_opened")
    assert "does it serve WebSocket at this --path" in run["why"]


@needs_guest
@needs_servers
def test_a_server_that_counts_data_as_life_passes_a_long_upload(tmp_path: Path) -> None:
    target = uploading(tmp_path, 60_000)
    server = f"python {REPORTS}/upload/server.py --host {{host}} --port {{port}}"
    run = runs("upload", tmp_path / "out", "slow_upload.toml", "--target", target, "--server", server)["slow_upload"]
    assert verdict(run) == ("passed", "true_keep"), run["why"]


@needs_guest
@needs_servers
def test_a_server_that_ends_a_long_upload_is_blamed_and_its_client_not_called_silent(tmp_path: Path) -> None:
    target = uploading(tmp_path, 60_000)
    server = f"python {REPORTS}/upload/pinging.py {{host}} {{port}}"
    run = runs("upload", tmp_path / "out", "slow_upload.toml", "--target", target, "--server", server)["slow_upload"]
    assert verdict(run) == ("failed", "false_reap")
    assert "1011 'keepalive ping timeout'" in run["why"]
    (silence,) = [line for line in run["kernel_saw"] if "last packet from the client" in line]
    # 60 kB at 16 kbit/s: a full packet of 1514 bytes takes 0.757 s.
    assert silence.endswith("ms before the end"), silence


@needs_guest
@needs_servers
def test_a_first_message_of_a_quarter_megabyte_is_sent(tmp_path: Path) -> None:
    target = uploading(tmp_path, 250_000)
    server = f"python {REPORTS}/upload/server.py --host {{host}} --port {{port}}"
    run = runs("upload", tmp_path / "out", "alive/active", "--hold", "20s", "--target", target, "--server", server)
    assert run["active"]["verdict"] == "passed", run["active"]["why"]
    output = timeline.read(tmp_path / "out" / "timelines" / "active.jsonl").of("target", "output")
    assert "got a message of 250000" in [event.data["text"].strip() for event in output]


@needs_guest
@needs_servers
def test_watch_does_not_call_a_client_dark_while_it_uploads(tmp_path: Path) -> None:
    target = uploading(tmp_path, 60_000)
    server = f"sh {REPORTS}/watch_upload/run.sh {{host}} {{port}} {' '.join(HALFOPEN)}"
    ran("upload", tmp_path / "out", "slow_upload.toml", "--hold", "16s", "--target", target, "--server", server)
    output = timeline.read(tmp_path / "out" / "timelines" / "slow_upload.jsonl").of("target", "output")
    seen = [event.data["text"] for event in output if event.data["text"].startswith('"')]
    assert seen == ['"unacked":1', '"peer":"sends"']


@needs_labs
@needs_servers
def test_workers_with_lists_of_their_own_are_believed_together(tmp_path: Path) -> None:
    real = ("--clock", "real")
    leaky = runs("workers", tmp_path, "dead/killed", "--hold", "4s", "--target", "leaky.toml", clock=real)["killed"]
    assert leaky["verdict"] == "failed"
    assert leaky["why"].startswith("the session is still listed in "), leaky["why"]
    sound = runs("workers", tmp_path, "alive/active", "--hold", "4s", "--target", "sound.toml", clock=real)["active"]
    assert verdict(sound) == ("passed", "true_keep"), sound["why"]


@needs_guest
@needs_servers
def test_what_a_server_queues_in_its_own_memory_is_measured(tmp_path: Path) -> None:
    server = "node server.js {host} {port}"
    found = runs("ws_buffered", tmp_path, "alive/trickle_16k", "dead/frozen", "--server", server)
    assert verdict(found["frozen"]) == ("failed", "missed")
    # 131 kB every 50 ms for 78 s, of which the client takes a tenth at most.
    for run in found.values():
        assert run["memory_growth_bytes"] > 100_000_000
        assert run["cost"].startswith("the server's memory grew by ")


@needs_guest
@needs_servers
@needs_nginx
def test_a_proxy_that_ends_a_quiet_session_after_60_s_is_blamed(tmp_path: Path) -> None:
    done = ran("nginx_60s", tmp_path, "quiet_room.toml", "--server", "sh run.sh {host} {port}")
    run = by_scenario(tmp_path)["quiet_room"]
    assert verdict(run) == ("failed", "false_reap")
    assert 60.0 <= run["reaped_at_s"] <= 61.0
    assert "ends an undisturbed session after 60" in done.out
    assert run["cause"].startswith("nginx ended the session: the server behind it had sent nothing for 60.")
    (line,) = run["proxy_said"]["nginx"]
    assert line.startswith("upstream timed out (110: Connection timed out)")
    assert "    nginx said:\n        upstream timed out" in done.out


@needs_guest
@needs_servers
def test_a_broadcast_that_waits_for_a_frozen_client_starves_the_others(tmp_path: Path) -> None:
    run = runs("broadcast_hol", tmp_path, "bystanders/one_frozen", "--server", SERVER)["one_frozen"]
    assert verdict(run) == ("failed", "missed")
    for entry in run["sessions"][1:]:
        assert (entry["outcome"], entry["verdict"]) == ("kept", "failed")
        # Pings still come, every 20 s.
        assert entry["why"].startswith("served nothing for 8"), entry["why"]
        assert entry["longest_gap_s"] > 2.6 * 30


@needs_guest
@needs_servers
def test_one_clients_crash_that_is_everybodys_is_blamed_on_the_server(tmp_path: Path) -> None:
    run = runs("crash_restart", tmp_path, "bystanders/one_reset", "--server", "sh run.sh {host} {port}")["one_reset"]
    assert run["verdict"] == "failed"
    assert len(run["sessions"]) == 5
    for entry in run["sessions"]:
        assert entry["verdict"] == "failed"
        assert entry["why"].startswith("the process that served the session (pid "), entry["why"]


@needs_guest
@needs_servers
def test_a_ghost_refuses_its_user_until_it_is_found_and_nobody_else(tmp_path: Path) -> None:
    user = ("--header", "X-User: {client}")
    run = runs("ghost_seat", tmp_path, "phone.toml", "--server", SERVER, *user)["phone"]
    assert run["verdict"] == "passed", run["why"]
    _, bob, too_early, later = run["sessions"]
    assert (bob["outcome"], too_early["outcome"], later["outcome"]) == ("kept", "refused", "kept")
    assert too_early["why"].startswith("refused at 7.")
    assert "HTTP 409" in too_early["why"]


@needs_guest
@needs_servers
def test_a_user_who_returns_while_the_ghost_sits_there_is_refused(tmp_path: Path) -> None:
    user = ("--header", "X-User: {client}", "--grace", "9s")
    scenarios = ("return/new_address", "return/new_address_later")
    found = runs("ghost_seat", tmp_path, *scenarios, "--server", SERVER, *user)
    assert verdict(found["new_address"]) == ("failed", "true_reap")
    assert "returning: refused at 18." in found["new_address"]["why"]
    assert verdict(found["new_address_later"]) == ("passed", "true_reap"), found["new_address_later"]["why"]


def of_a_user(pytester: pytest.Pytester, case: str, text: str) -> pytest.RunResult:
    """Run a user's test with the report's server, on the virtual clock."""
    users.project(pytester, text)
    shutil.copy(REPORTS / case / "server.py", pytester.path)
    return users.ran(pytester, "--halfopen-clock", "virtual", "--halfopen-seed", "7")


@needs_guest
def test_a_broadcast_that_waits_for_a_frozen_client_holds_it_and_its_neighbour_is_not_called_reaped(
    pytester: pytest.Pytester,
) -> None:
    result = of_a_user(
        pytester,
        "broadcast_hol",
        f"""
def test_the_frozen_client_is_reaped(lab):
    server = lab.serve("{SERVER}")
    frozen = lab.connect(server)
    frozen.freeze()
    assert lab.session(frozen).reaped(within="35s")

def test_the_neighbour_is_kept_and_not_served(lab):
    server = lab.serve("{SERVER}")
    frozen, healthy = lab.connect(server), lab.connect(server, client="acking")
    frozen.freeze()
    assert lab.session(healthy).kept(for_="30s")
    assert lab.session(healthy).served(longest_gap="2s")
""",
    )
    result.assert_outcomes(failed=2)
    result.stdout.re_match_lines(
        [
            r"E .*session still held .* after the freeze began: .*",
            r"E .*served nothing for .* on, expected at most 2s; .*",
        ]
    )
    result.stdout.no_re_match_line(r"E .*live client was reaped.*")


@needs_guest
def test_a_seat_held_by_a_ghost_refuses_its_user_and_is_free_once_the_ghost_is_found(
    pytester: pytest.Pytester,
) -> None:
    result = of_a_user(
        pytester,
        "ghost_seat",
        f"""
def test_a_phone_that_changes_networks_gets_in_again(lab):
    server = lab.serve("{SERVER}", headers={{"X-User": "ann"}})
    lab.connect(server).fault("vanish")
    lab.connect(server)

def test_it_is_refused_until_the_ghost_is_found(lab):
    server = lab.serve("{SERVER}", headers={{"X-User": "ann"}})
    ghost = lab.connect(server)
    ghost.fault("vanish")
    assert lab.connect(server, expect="refused").status == 409
    assert lab.session(ghost).reaped(within="15s", since="fault")
    assert lab.session(lab.connect(server)).served(longest_gap="2s", for_="5s")

def test_two_users_at_once(lab):
    server = lab.serve("{SERVER}")
    ann = lab.connect(server, headers={{"X-User": "ann"}})
    bob = lab.connect(server, headers={{"X-User": "bob"}})
    ann.fault("vanish")
    assert lab.session(bob).served(longest_gap="2s", for_="5s")
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.re_match_lines([r"E .*client 2 has got no session: .* HTTP 409"])
