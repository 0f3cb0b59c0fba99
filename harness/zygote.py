"""Forks the lab's own processes, all their modules imported already: ``python -P -m harness.zygote SOCKET``.

Starting Python and importing what a pod or a client needs costs more than many a run itself: in a guest, where waiting
is free, it is most of the price. SOCKET is the number of a descriptor: a socket on which each packet asks for one
process (Request, with its descriptors) and is answered by one (Answer); its end is the end. See harness.forked for the
other side.

A process asked for is no child of this one but of the asker, who adopts it (netns.forking): so it waits for it, and is
told of its stops, as of its own.
"""

from __future__ import annotations

import contextlib
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

from harness import clients, plugins
from harness.pod import detectors
from netns.forking import exit_code_of, flush, fork_away

MODULES = ("harness.pod", "harness.clients")
"""What can be asked for: packages that ``python -m`` runs, whose ``__main__`` has a function ``main``."""
#: The most descriptors that come with one request; the kernel takes 253 (SCM_MAX_FD, unix(7)).
_MOST_DESCRIPTORS = 64
_MOST = 1 << 16
#: Where among the descriptors the network namespace's is.
_NAMESPACE = 3


class Request(msgspec.Struct, frozen=True):
    """A process to start. With it come its standard input, output and error, its network namespace, and what it is to
    hold open."""

    module: str
    arguments: list[str]


class Answer(msgspec.Struct, frozen=True):
    """The process's id, or the errno(3) of what failed."""

    pid: int = 0
    error: int = 0


def main(asked: socket.socket) -> int:
    """Answer requests until there are no more, which gives 0; in each process forked, be that process."""
    mains = {module: importlib.import_module(f"{module}.__main__").main for module in MODULES}
    _import_plugins()
    # A collection would write to every object, and so copy every page in every process.
    gc.collect()
    gc.freeze()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(asked, _MOST, _MOST_DESCRIPTORS)
        if not packet:
            return 0
        request = msgspec.json.decode(packet, type=Request)
        try:
            answer = Answer(pid=fork_away(descriptors[_NAMESPACE]))
        except OSError as error:
            answer = Answer(error=error.errno or 0)
        else:
            if not answer.pid:
                # Whoever holds the socket open hides the end of the zygote from the asker.
                asked.close()
                _become(descriptors)
                sys.argv[1:] = request.arguments
                _run(mains[request.module])
        for descriptor in descriptors:
            os.close(descriptor)
        asked.send(msgspec.json.encode(answer))


def _import_plugins() -> None:
    for package, noun in ((detectors, "detector"), (clients, "client")):
        for name in plugins.names(package):
            # One that cannot be imported is the trouble of those who ask for it.
            with contextlib.suppress(Exception):
                plugins.load(package, name, noun)


def _become(descriptors: Sequence[int]) -> None:
    """Take standard input, output and error from the first three of them; the fourth has done its part."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors[: _NAMESPACE + 1]:
        os.close(descriptor)


def _run(main_of_it: Callable[[], int | None]) -> NoReturn:
    """Be a process from its first line to its last, which ends as others do, but is not taken apart.

    To free each object is to write to it, which would copy every page. What is registered with atexit is not run.
    """
    code: int | None = 1
    try:
        code = main_of_it()
    except SystemExit as leaving:
        code = exit_code_of(leaving)
    except Exception:  # noqa: BLE001 (nobody is above)
        traceback.print_exc()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    flush()
    os._exit(code or 0)


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
