"""The process of a test's lab: ``python -P -m halfopen.testing.worker``, controlled by halfopen.testing.channel.

It enters namespaces of its own, so that pytest, which may have threads, need not. It ends with the connection, so
nothing outlives a pytest that is killed.
"""

from __future__ import annotations

import sys

from halfopen.errors import FaultError, InputError
from halfopen.netns import isolation
from halfopen.netns.lab import Lab
from halfopen.netns.lab_errors import IsolationError, LabError, UnsupportedError
from halfopen.spawn.peers import Broken, Parent, PeerUp, Refused
from halfopen.testing import messages
from halfopen.testing.messages import Lacking, Reply
from halfopen.testing.pytest_lab import PytestLab


def main() -> int:
    """Be the lab of one test until there are no more requests."""
    parent = Parent(messages.Request)
    try:
        return isolation.run(lambda: _work(parent))
    except IsolationError as error:
        parent.send(Refused(f"{error}; or take a guest kernel, which needs none: --halfopen-clock virtual"))
        return 1


def _work(parent: Parent) -> int:
    parent.interrupt_when_gone()
    opening = parent.receive()
    with parent.sending_bugs():
        try:
            with Lab() as lab, PytestLab(lab, opening) as pytest_lab:
                parent.send(PeerUp())
                while request := parent.receive():
                    parent.send(_answer(pytest_lab, request))
        except (InputError, LabError) as error:
            parent.send(Refused(str(error)))
            return 1
    return 0


def _answer(lab: PytestLab, request: messages.Request) -> Reply | Broken:
    try:
        return lab.answer(request)
    except UnsupportedError as error:
        return Lacking(str(error))
    except (InputError, LabError, FaultError, TimeoutError) as error:
        return Refused(str(error))
    except Exception as error:  # noqa: BLE001 (a bug of ours, reported by the test that it fails)
        return Broken.by(error)


if __name__ == "__main__":
    sys.exit(main())
