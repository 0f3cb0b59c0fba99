"""Take the stacks of the process that serves a session."""

from __future__ import annotations

from halfopen.errors import FaultError
from halfopen.model.journal import Journal
from halfopen.repro.look import Stacks
from halfopen.run.session import Session
from halfopen.thread_dump import ThreadsError, dump


def stacks(session: Session, journal: Journal, now: float) -> Stacks:
    """Return the stacks of the process that holds the session's socket.

    ``now`` is seconds since the session's start.
    """
    last = journal.last_sample()
    try:
        # A server may have several processes, and the one that was started may serve nobody.
        holders = session.way.site.host.holders(last.inode) if last is not None and last.inode else []
        return Stacks(now, dump(holders[0] if holders else session.server.process.pid))
    except FaultError:  # the text of a FaultError speaks of a fault
        return Stacks(now, None, "not to be had: the server's process is a container's, out of the lab's sight")
    except ThreadsError as error:
        return Stacks(now, None, f"not to be had: {error}")
