"""Hosts: processes and sockets run inside them, the caller stays outside, and nothing of them is left."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from halfopen.netns import _libc
from halfopen.netns.host import LOOPBACK, Host
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import LabError
from tests import leftovers
from tests.isolated import isolated
from tests.machine import UNPRIVILEGED, needs_labs, needs_unshare
from tests.netns.network import ask, connection, eventually, fill, listen, loopback, network

pytestmark = needs_labs


def here() -> str:
    return os.readlink("/proc/thread-self/ns/net")


@isolated
def test_what_acts_inside_a_host_comes_out_again_also_on_errors() -> None:
    with Lab() as lab:
        outside = here()
        host = lab.host("host")
        assert here() == outside
        with host.entered():
            inside = here()
        with pytest.raises(KeyError), host.entered():
            raise KeyError
        assert here() == outside != inside


@isolated
def test_a_host_entered_from_within_another_leads_back_there() -> None:
    with Lab() as lab:
        outer, inner = lab.host("outer"), lab.host("inner")
        with outer.entered():
            there = here()
            with inner.entered():
                assert here() != there
            assert here() == there


@isolated
def test_only_the_calling_thread_enters() -> None:
    with Lab() as lab:
        outside, seen = here(), []
        entered = threading.Event()

        def look() -> None:
            entered.wait()
            seen.append(here())

        looking = threading.Thread(target=look)
        looking.start()
        with lab.host("host").entered():
            entered.set()
            looking.join()
        assert seen == [outside]


@isolated
def test_a_process_runs_in_the_host_in_a_session_of_its_own() -> None:
    with Lab() as lab:
        host = lab.host("host")
        process = host.spawn(["sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/stat"], stdout=subprocess.PIPE)
        network_, stat = process.communicate()[0].decode().splitlines()
        with host.entered():
            assert network_ == here()
        assert int(stat.rpartition(")")[2].split()[3]) == process.pid  # its session
        assert here() != network_


@isolated
def test_a_program_that_is_not_there_leaves_the_caller_where_it_was() -> None:
    with Lab() as lab:
        outside = here()
        with pytest.raises(FileNotFoundError):
            lab.host("host").spawn(["/no/such/program"])
        assert here() == outside


@isolated
def test_loopback_works_and_is_the_hosts_own() -> None:
    with Lab() as lab:
        one, other = lab.host("one"), lab.host("other")
        with loopback(one), pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.1", 5090), timeout=20)


@isolated
def test_qdiscs_asked_for_from_any_thread_are_put_on_this_host() -> None:
    with Lab() as lab:
        host, other = lab.host("host"), lab.host("other")
        with host.rtnetlink() as routes:
            routes.tc("add", "tbf", LOOPBACK, 0x10000, rate=125_000, burst=1514, limit=3028)

        def replace() -> None:
            with host.rtnetlink() as routes:
                routes.tc("del", index=LOOPBACK, parent=0xFFFFFFFF)
                routes.tc("add", "tbf", LOOPBACK, 0x20000, rate=125_000, burst=1514, limit=3028)

        thread = threading.Thread(target=replace)
        thread.start()
        thread.join()
        assert [qdisc["handle"] for qdisc in ask(host, "get_qdiscs", LOOPBACK)] == [0x20000]
        assert [qdisc.get("kind") for qdisc in ask(other, "get_qdiscs", LOOPBACK)] == ["noqueue"]


@isolated
def test_a_parameter_is_set_in_the_host_and_nowhere_else() -> None:
    path = Path("/proc/sys/net/ipv4/tcp_rmem")
    with Lab() as lab:
        host, other = lab.host("host"), lab.host("other")
        before = path.read_text()
        host.sysctl("net.ipv4.tcp_rmem", "4096 131072 7654321")
        with host.entered():
            assert path.read_text().split() == ["4096", "131072", "7654321"]
        with other.entered():
            assert path.read_text() == before
        assert path.read_text() == before


@isolated
def test_a_closed_host_leaves_no_descriptor() -> None:
    def live() -> None:
        host = Host("host")
        with host.rtnetlink():
            pass
        with contextlib.closing(host.socket_reader()), contextlib.closing(host.end_listener()):
            pass
        host.close()

    live()  # opens files once that are kept and do not belong to this host
    before = sorted(os.listdir("/proc/self/fd"))
    live()
    assert sorted(os.listdir("/proc/self/fd")) == before


@isolated
def test_a_host_that_cannot_be_set_up_leaves_no_descriptor_and_the_caller_at_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, outside = sorted(os.listdir("/proc/self/fd")), here()

    def refuse(_: Host, *__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(Host, "configure", refuse)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        Host("host")
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert here() == outside


@pytest.mark.alone
@isolated
def test_a_closed_host_is_gone_from_the_kernel_even_with_bytes_stuck() -> None:
    before = leftovers.network_namespaces()
    if before is None:
        pytest.skip("this kernel does not tell how many namespaces it holds")
    with network() as net, connection(net) as (_, server):
        fill(server)
        server.close()  # now an orphan, whose bytes nobody reads
    eventually(lambda: (leftovers.network_namespaces() or 0) <= before, "the namespaces are gone")


@isolated
def test_a_host_is_kept_by_what_still_runs_in_it() -> None:
    with Lab() as lab:
        host = lab.host("host")
        process = host.spawn(["sleep", "60"])
    assert Path(f"/proc/{process.pid}/ns/net").exists()
    process.kill()
    process.wait()


@needs_unshare
def test_a_lab_without_namespaces_of_its_own_is_refused_with_the_way_to_have_them() -> None:
    code = "from halfopen.netns.lab import Lab; Lab().host('client')"
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "halfopen.netns.lab_errors.LabError: cannot create host 'client': this process may not create "
        "network namespaces; "
        "build the lab inside halfopen.netns.isolation.run, which needs no root"
    )


@isolated
def test_a_refusal_for_any_other_reason_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device", "unshare")

    monkeypatch.setattr(_libc, "unshare", refuse)
    with pytest.raises(OSError, match="No space left"):
        Host("host")


def test_lab_errors_are_shown_without_their_class() -> None:
    assert str(LabError("what, and what to do")) == "what, and what to do"


@isolated
def test_a_connection_that_nobody_takes_is_the_callers_error() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with listen(host):
            pass
        with pytest.raises(ConnectionRefusedError):
            host.connect(("127.0.0.1", 5090), timeout=20)


@isolated
def test_every_process_of_a_host_ends_however_it_got_away() -> None:
    # Two forks and its own session: no parent, and no group of ours.
    daemon = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(1000)"
    with Lab() as lab:
        host, other = lab.host("host"), lab.host("other")
        stays = other.spawn(["sleep", "1000"])
        host.spawn([sys.executable, "-c", daemon]).wait()
        eventually(lambda: len(host.processes()) == 1, "only the daemon is left")
        host.kill_all()
        assert host.processes() == []
        assert other.processes() == [stays.pid]
        other.kill_all()
        stays.wait()


@isolated
def test_a_socket_is_held_by_the_process_that_has_it_open() -> None:
    hold = "import socket, time\ns = socket.create_server(('127.0.0.1', 7))\nprint(flush=True)\ntime.sleep(1000)"
    with Lab() as lab:
        host = lab.host("host")
        with (
            host.spawn([sys.executable, "-c", hold], stdout=subprocess.PIPE) as its,
            host.spawn(["sleep", "1000"]) as another,
        ):
            assert its.stdout is not None
            its.stdout.readline()
            held = os.readlink(f"/proc/{its.pid}/fd/3")
            assert host.holders(int(held.removeprefix("socket:[").removesuffix("]"))) == [its.pid]
            its.kill()
            another.kill()


@isolated
def test_a_backlog_that_is_full_is_counted_in_its_own_host() -> None:
    with Lab() as lab:
        full, other = lab.host("full"), lab.host("other")
        before = full.tcp_counters(), other.tcp_counters()
        with full.entered():
            listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        with listener, contextlib.ExitStack() as attempts:
            for _ in range(8):
                attempts.enter_context(full.connecting(listener.getsockname()))
        assert full.tcp_counters()["ListenOverflows"] > before[0]["ListenOverflows"]
        assert full.tcp_counters()["ListenDrops"] > before[0]["ListenDrops"]
        assert other.tcp_counters()["ListenOverflows"] == before[1]["ListenOverflows"]
