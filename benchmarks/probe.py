"""The watchdog's probe against a loop in C that makes the same two system calls."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from benchmarks.measuring import heading, race, rows
from halfopen.pod.watchdog import probe

ROUNDS = 15
CALLS = 20_000

_LOOP = """
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    int fd = atoi(argv[1]), queued;
    char info[512];
    for (int i = atoi(argv[2]); i > 0; i--) {
        socklen_t size = sizeof info;
        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) || ioctl(fd, TIOCOUTQ, &queued)) return 1;
    }
    return 0;
}
"""


def run() -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        print("The watchdog's probe: not measured, since there is no C compiler (cc) to compare it with")
        return
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        program = _compile(compiler, Path(folder))
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0]:
            _measure(program, client)


def _measure(program: Path, sock: socket.socket) -> None:
    def in_c(calls: int) -> None:
        command = [str(program), str(sock.fileno()), str(calls)]
        subprocess.run(command, pass_fds=[sock.fileno()], check=True)

    def in_python() -> None:
        for _ in range(CALLS):
            probe(sock)

    times = race({"in C": lambda: in_c(CALLS), "start": lambda: in_c(0), "the watchdog's probe": in_python}, ROUNDS)
    start = sorted(times.pop("start"))[ROUNDS // 2]
    times["in C"] = [taken - start for taken in times["in C"]]
    each = {name: [taken / CALLS for taken in every] for name, every in times.items()}
    print(heading("TCP_INFO and SIOCOUTQ of one socket, once"))
    print("\n".join(rows(each, "in C")))


def _compile(compiler: str, folder: Path) -> Path:
    source, program = folder / "loop.c", folder / "loop"
    source.write_text(_LOOP)
    subprocess.run([compiler, "-O2", "-o", program, source], check=True)
    return program
