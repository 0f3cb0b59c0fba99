"""What a server's threads are doing, and which of them holds the lock that another waits for."""

from halfopen.threads.dumping import dump
from halfopen.threads.model import Dump, Frame, Lock, Thread, ThreadsError
from halfopen.threads.telling import told

__all__ = ["Dump", "Frame", "Lock", "Thread", "ThreadsError", "dump", "told"]
