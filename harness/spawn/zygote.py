"""Fork the lab's own processes, with their modules already imported: the server of halfopen.spawn.forked.

Starting Python and importing a pod or a client takes longer than many runs. In a guest, where waiting is free, it is
most of the cost. Each packet on the zygote's socket is a Request, with its descriptors, and gets an Answer. The zygote
ends with the socket.

The new process is not a child of this one but of the requester, which adopts it (halfopen.netns.forking). So the
requester can wait for it, and learns of its stops, as for its own children.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import msgspec

from halfopen.netns import bug_report
from halfopen.netns.forking import exit_code_of, flush, fork_away

MODULES = ("halfopen.pod", "halfopen.clients")
"""Modules that can be started: packages that ``python -m`` runs, whose ``__main__`` has a function ``main``."""
#: Most descriptors in one request; the kernel takes 253 (SCM_MAX_FD, unix(7)).
_MOST_DESCRIPTORS = 64
MOST = 1 << 16
"""Most bytes in a request, and in an answer."""
_LONGEST_TRACE = 1 << 13
#: Index of the network namespace among the descriptors.
_NAMESPACE = 3


class ForkRequest(msgspec.Struct, frozen=True):
    """A process to start.

    With it come its standard input, output and error, its network namespace, and the descriptors that it must hold
    open.
    """

    module: str
    arguments: list[str]


class ForkAnswer(msgspec.Struct, frozen=True):
    """The process's id, or the errno(3) of the failure, or an error of ours that ends the zygote."""

    pid: int = 0
    error: int = 0
    summary: str = ""
    trace: str = ""


def main(asked: socket.socket) -> int:
    """Answer requests until the socket ends, then return 0; in each forked process, run that process.

    An error of ours is answered, and returns 1.
    """
    try:
        return _serve(asked)
    except Exception as error:  # noqa: BLE001 (raised by the requester)
        answer = ForkAnswer(summary=bug_report.summary(error), trace=bug_report.trace(error)[-_LONGEST_TRACE:])
        asked.send(msgspec.json.encode(answer))
        return 1


def _serve(asked: socket.socket) -> int:
    while True:
        packet, descriptors, _, _ = socket.recv_fds(asked, MOST, _MOST_DESCRIPTORS)
        if not packet:
            return 0
        request = msgspec.json.decode(packet, type=ForkRequest)
        main_of_it = _main_of(request.module)
        try:
            answer = ForkAnswer(pid=fork_away(descriptors[_NAMESPACE]))
        except OSError as error:
            answer = ForkAnswer(error=error.errno or 0)
        else:
            if not answer.pid:
                # An open copy of the socket would hide the zygote's end from the requester.
                asked.close()
                _become(descriptors)
                sys.argv[1:] = request.arguments
                _run(main_of_it)
        for descriptor in descriptors:
            os.close(descriptor)
        asked.send(msgspec.json.encode(answer))


@functools.cache
def _main_of(module: str) -> Callable[[], int | None]:
    """Return the function ``main`` of a package's ``__main__``, imported once and before the fork."""
    main_of_it: Callable[[], int | None] = importlib.import_module(f"{module}.__main__").main
    # A collection would write to every new object, and so copy its page in every process.
    gc.freeze()
    return main_of_it


def _become(descriptors: Sequence[int]) -> None:
    """Take standard input, output and error from the first three descriptors; close them and the namespace's."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors[: _NAMESPACE + 1]:
        os.close(descriptor)
    # As Python opens them at its start (Py_InitializeFromConfig): those from before the fork belong to another process.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _run(main_of_it: Callable[[], int | None]) -> NoReturn:
    """Run a process to its end. It exits as others do, but without freeing its objects.

    Freeing an object writes to it, which would copy every page. Functions registered with atexit are not run.
    """
    code: int | None = 1
    try:
        code = main_of_it()
    except SystemExit as leaving:
        code = exit_code_of(leaving)
    except Exception:  # noqa: BLE001 (there is no caller)
        traceback.print_exc()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    flush()
    os._exit(code or 0)
