"""What a server's threads are doing, and which of them holds the lock that another waits for."""

from harness.threads.dumping import dump
from harness.threads.model import Dump, Frame, Lock, Thread, ThreadsError
from harness.threads.telling import told

__all__ = ["Dump", "Frame", "Lock", "Thread", "ThreadsError", "dump", "told"]
