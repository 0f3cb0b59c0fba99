"""Forks the lab's own processes, all their modules imported already: ``python -P -m harness.zygote SOCKET``.

Starting Python and importing what a pod or a client needs costs more than many a run itself: in a guest, where waiting
is free, it is most of the price. SOCKET is the number of a descriptor: a socket on which each packet asks for one
process (Request, with its descriptors) and is answered by one (Answer); its end is the end. See harness.forked for the
other side.

A process asked for is no child of this one but, this one's child between them having ended, of the asker, who must be
a subreaper meanwhile (prctl(2), PR_SET_CHILD_SUBREAPER): so it waits for it, and is told of its stops, as for its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import socket
import sys
from collections.abc import Sequence

import msgspec

from harness import clients, plugins
from harness.pod import detectors
from netns import _libc

MODULES = ("harness.pod", "harness.clients")
"""What can be asked for: packages that ``python -m`` runs, whose ``__main__`` has a function ``main``."""
#: The most descriptors that come with one request; the kernel takes 253 (SCM_MAX_FD, unix(7)).
_MOST_DESCRIPTORS = 64
_MOST = 1 << 16


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
    """Answer requests until there are no more; in each process forked, be that process. Gives the exit code."""
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
        answer = _fork_twice(asked, descriptors)
        if answer is None:
            sys.argv[1:] = request.arguments
            code: int | None = mains[request.module]()
            return code or 0
        for descriptor in descriptors:
            os.close(descriptor)
        asked.send(msgspec.json.encode(answer))


def _import_plugins() -> None:
    for package, noun in ((detectors, "detector"), (clients, "client")):
        for name in plugins.names(package):
            # One that cannot be imported is the trouble of those who ask for it.
            with contextlib.suppress(Exception):
                plugins.load(package, name, noun)


def _fork_twice(asked: socket.socket, descriptors: Sequence[int]) -> Answer | None:
    """Have a process that is not our child; None in that process itself."""
    hear, tell = os.pipe()
    between = os.fork()
    if between:
        os.close(tell)
        # Its session is made before it tells its id: from then on its group can be killed.
        with os.fdopen(hear, "rb") as answers:
            told = answers.read()
        os.waitpid(between, 0)
        return msgspec.json.decode(told, type=Answer)
    try:
        os.close(hear)
        standard, namespace = descriptors[:3], descriptors[3]
        _libc.setns(namespace, _libc.CLONE_NEWNET)
        if os.fork():
            os._exit(0)
        os.setsid()
        # Whoever holds the socket open hides the end of the zygote from the asker.
        asked.close()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(namespace)
    except OSError as error:
        os.write(tell, msgspec.json.encode(Answer(error=error.errno or 0)))
        os._exit(1)
    os.write(tell, msgspec.json.encode(Answer(os.getpid())))
    os.close(tell)
    return None


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
