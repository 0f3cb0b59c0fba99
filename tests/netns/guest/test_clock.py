"""The virtual clock keeps the kernel's promises about timers, for every way of waiting, and real programs run on it.

benchmarks/fidelity measures the waits in one guest. Each test checks its own line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.fidelity import kernels, waits
from benchmarks.fidelity.kernels import Kernel
from benchmarks.fidelity.promises import MARGIN, earliness, lateness
from benchmarks.fidelity.readings import Report, Wait
from tests.harness.cli.tool import halfopen
from tests.machine import needs_guest

pytestmark = needs_guest

HOUR = 3600.0


@pytest.fixture(scope="module")
def report() -> Report:
    return kernels.measure(Kernel.VIRTUAL, "waits", "long-waits", "clocks", "tcp")


def keeps_its_promise(wait: Wait, jiffy: float) -> None:
    each = wait.asked / wait.waits
    latest = wait.asked + wait.waits * lateness(wait.timer, each, jiffy) + MARGIN
    assert wait.took
    assert wait.asked - earliness(wait.timer) <= min(wait.took) <= max(wait.took) <= latest, wait


@pytest.mark.parametrize("way", waits.ways())
def test_a_wait_ends_when_the_kernel_promises(report: Report, way: str) -> None:
    found = [wait for wait in report.waits if wait.way == way]
    assert [wait.asked for wait in found] == [0.01, 0.1, 1.0, 60.0]
    for wait in found:
        keeps_its_promise(wait, report.jiffy)


def test_so_do_tcps_own_timers(report: Report) -> None:
    found = [wait for wait in report.waits if wait.way.startswith("TCP")]
    assert len(found) == 3
    for wait in found:
        keeps_its_promise(wait, report.jiffy)


def test_all_clocks_go_alike(report: Report) -> None:
    assert report.clocks is not None
    assert len(report.clocks.asleep) == 5
    for passed in report.clocks.asleep.values():
        assert passed == pytest.approx(10, abs=MARGIN)


def test_work_takes_no_time(report: Report) -> None:
    assert report.clocks is not None
    # Reading the clock takes a quarter of a microsecond (arch/um/kernel/time.c, TIMER_MIN_DELTA).
    assert report.clocks.working < 1e-6


def warp(program: str, *arguments: str) -> str:
    ran = halfopen("warp", "--", sys.executable, "-c", program, *arguments)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


def test_threads_wake_in_the_order_of_their_times() -> None:
    program = f"""
import random, threading, time
woken, began = [], time.monotonic()
def sleep(seconds):
    time.sleep(seconds)
    woken.append((seconds, time.monotonic() - began - seconds))
hours = [{HOUR} * (n + 1) for n in range(50)]
threads = [threading.Thread(target=sleep, args=(each,)) for each in random.sample(hours, 50)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert [seconds for seconds, _ in woken] == hours
print(max(late for _, late in woken) < {MARGIN})
"""
    assert warp(program) == "True\n"


def test_a_test_suite_that_waits_for_hours_passes(tmp_path: Path) -> None:
    suite = tmp_path / "test_waiting.py"
    suite.write_text(
        "import asyncio, threading, time\n\n"
        f"def test_sleep():\n    time.sleep({HOUR})\n\n"
        f"def test_event():\n    assert not threading.Event().wait({HOUR})\n\n"
        f"def test_asyncio():\n    asyncio.run(asyncio.sleep({HOUR}))\n"
    )
    ran = halfopen("warp", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite))
    assert ran.code == 0, ran.out + ran.err
    assert "3 passed in 108" in ran.out  # 10,80x s


PINGS = """
import asyncio, json, time
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

async def main():
    ended = asyncio.get_running_loop().create_future()
    async def handler(connection):
        began = time.monotonic()
        try:
            await connection.wait_closed()
        finally:
            ended.set_result((time.monotonic() - began, connection.protocol.close_code))
    async with serve(handler, "127.0.0.1", 0, ping_interval=60, ping_timeout=600, close_timeout=1) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", ping_interval=None) as client:
            await asyncio.sleep(3600)  # answered every time
            assert not ended.done()
            client.transport.pause_reading()
            print(json.dumps(await ended))
            client.transport.abort()

asyncio.run(main())
"""


def test_a_websockets_server_gives_a_silent_client_up_after_its_ping_timeout() -> None:
    seconds, code = json.loads(warp(PINGS))
    assert code in {1006, 1011}
    # An hour of answers. Then at most a ping's interval to the first unanswered one, and the two timeouts.
    assert HOUR + 600 <= seconds <= HOUR + 60 + 600 + 1 + 5


LABS = """
import socket, sys, time
from halfopen.netns import isolation
from halfopen.netns.lab import Lab

def connect_at_once():
    for _ in range(5):
        time.sleep(3)
        with Lab() as lab:
            client, router, server = lab.host("client"), lab.router("router"), lab.host("server")
            lab.link(client, router)
            far = lab.link(router, server)
            with server.entered():
                listener = socket.create_server(("", 5090))
            with listener:
                began = time.monotonic()
                client.connect((far.b.ip, 5090), 5).close()
                print(time.monotonic() - began)
    return 0

sys.exit(isolation.run(connect_at_once))
"""


def test_the_first_packet_of_a_fresh_lab_is_not_lost() -> None:
    took = [float(seconds) for seconds in warp(LABS).split()]
    assert len(took) == 5
    # A lost SYN is sent again after a second (RFC 6298).
    assert max(took) < 0.5
