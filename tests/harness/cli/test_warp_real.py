"""Any command in a guest on a real clock."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halfopen.netns.guest import cache
from tests import leftovers
from tests.harness.cli.tool import HALFOPEN, Ran, halfopen
from tests.machine import UNPRIVILEGED, needs_guest, needs_unshare

pytestmark = needs_guest

PATIENCE = 120.0


def warp(*command: str, options: tuple[str, ...] = (), under: tuple[str, ...] = ()) -> Ran:
    return halfopen("warp", "--clock", "real", *options, "--", *command, under=under)


def test_the_time_inside_is_the_time_outside() -> None:
    kernel = cache.newest()
    assert kernel is not None
    before = time.time()
    ran = warp("sh", "-c", "uname -r; date +%s.%N; sleep 1.5; date +%s.%N")
    assert (ran.code, ran.err) == (0, "")
    release, begun, ended = ran.out.split()
    assert release.startswith(kernel.version)
    assert before <= float(begun) <= float(ended) - 1.5 <= time.time() - 1.5


def test_the_monotonic_clock_is_none_that_looks_unset() -> None:
    # ping takes a clock below a second for one that was never set.
    ran = warp("cat", "/proc/uptime")
    assert float(ran.out.split()[0]) >= 1


def test_exit_code_output_and_errors_come_through() -> None:
    assert warp("sh", "-c", "printf 'a\\nb\\tc'; echo wrong >&2; exit 7") == Ran(7, "a\nb\tc", "wrong\n")


def test_a_large_output_is_whole() -> None:
    ran = warp("head", "-c", "500000", "/dev/zero")
    assert (ran.code, ran.out == "\0" * 500_000) == (0, True)


def test_what_is_written_to_tmp_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("from outside")
    ran = warp("sh", "-c", f"cat {tmp_path}/mine; echo x > {tmp_path}/mine; echo y > /tmp/halfopen-y; cat /tmp/*-y")
    assert ran == Ran(0, "from outsidey\n", "")
    assert (tmp_path / "mine").read_text() == "from outside"
    assert not Path("/tmp/halfopen-y").exists()


# A new link drops packets until the kernel has seen both ends up (net/core/link_watch.c). TCP repeats them.
CARRIES = """
def carries(a, b, ip):
    with b.entered(), socket.create_server(("0.0.0.0", 5090)):
        a.connect((ip, 5090), timeout=20).close()
"""

ROUND_TRIP = f"""
import socket, time
from halfopen.netns.impairment import Impairment
from halfopen.netns.lab import Lab
{CARRIES}
def asked(host):
    with host.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", 5090))
    sock.settimeout(20)
    return sock

with Lab() as lab:
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b)
    carries(a, b, link.end(b).ip)
    with asked(a) as here, asked(b) as there:
        for delay in (0, 0.15):
            for host in (a, b):
                link.impair(host, Impairment(delay=delay))
            begun = time.monotonic()
            here.sendto(b"ping", (link.end(b).ip, 5090))
            there.sendto(*there.recvfrom(10))
            assert here.recv(10) == b"ping"
            print(time.monotonic() - begun)
"""


def test_a_lab_has_netem() -> None:
    ran = warp(sys.executable, "-c", ROUND_TRIP)
    assert (ran.code, ran.err) == (0, "")
    unimpaired, delayed = map(float, ran.out.split())
    # In both directions. The kernel holds a packet for at least its delay. Without one, 300 ms would have another
    # cause.
    assert unimpaired < delayed
    assert delayed >= 0.3


CUT = f"""
import socket
from halfopen.netns.lab import Lab
{CARRIES}
with Lab() as lab:
    a, router, b = lab.host("a"), lab.router("router"), lab.host("b")
    near, far = lab.link(a, router), lab.link(router, b)
    carries(a, b, far.end(b).ip)
    with b.entered():
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there.bind(("0.0.0.0", 5090))
    there.settimeout(20)
    with a.entered():
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.connect((far.end(b).ip, 5090))
    here.send(b"before")
    print(there.recv(10))
    with near.cut():
        here.send(b"dropped")
    here.send(b"after")
    print(there.recv(10))
"""


def test_a_link_of_a_lab_can_be_cut() -> None:
    # Datagrams keep their order on a veth, so anything that passed the cut would arrive before what follows it.
    assert warp(sys.executable, "-c", CUT) == Ran(0, "b'before'\nb'after'\n", "")


CONNECTED = """
import socket
from halfopen.netns.lab import Lab

with Lab() as lab:
    a, b = lab.host("a"), lab.host("b")
    link = lab.link(a, b)
    with b.entered():
        listener = socket.create_server(("0.0.0.0", 5090))
    client = a.connect((link.end(b).ip, 5090), timeout=20)
    server, _ = listener.accept()
print("ended")
"""


def test_a_lab_with_a_connection_ends() -> None:
    assert warp(sys.executable, "-c", CONNECTED) == Ran(0, "ended\n", "")


def test_ctrl_c_reaches_the_command_which_may_end_in_its_own_way() -> None:
    body = "import time\ntry:\n print('up', flush=True)\n time.sleep(1000)\nexcept KeyboardInterrupt:\n exit(9)"
    command = [*HALFOPEN, "warp", "--clock", "real", "--", sys.executable, "-c", body]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "up\n"
        tool.send_signal(signal.SIGINT)
        assert tool.wait(PATIENCE) == 9


def test_one_that_never_ends_is_given_up() -> None:
    ran = warp("sh", "-c", "while :; do :; done", options=("--wall-limit", "3s"))
    assert ran == Ran(69, "", "halfopen: the guest was stopped after 3s of wall time\n")


def test_a_command_killed_for_memory_is_told_from_one_that_failed() -> None:
    hungry = "x = []\nwhile True: x.append(bytearray(10_000_000))"
    ran = warp(sys.executable, "-c", hungry, options=("--memory", "200MiB"))
    assert (ran.code, ran.out) == (69, "")
    assert re.fullmatch(r"halfopen: the guest ran out of its 209\.7 MB of memory and killed 'python[\d.]*'\n", ran.err)


@needs_unshare
def test_it_needs_no_privilege() -> None:
    assert warp("sh", "-c", "id -u; exit 5", under=tuple(UNPRIVILEGED)) == Ran(5, "0\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_ended(number: signal.Signals) -> None:
    before = leftovers.take_stock()
    # No shell: a shell that starts a command acts on SIGINT only when the command is over, as anywhere.
    body = "import time; print('up', flush=True); time.sleep(1000)"
    command = [*HALFOPEN, "warp", "--clock", "real", "--", sys.executable, "-c", body]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == "up\n"
        tool.send_signal(number)
        code = tool.wait(PATIENCE)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert not leftovers.since(before)
