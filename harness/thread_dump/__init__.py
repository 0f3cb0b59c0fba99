"""Stacks of a server's threads, and which thread holds the lock that another waits for."""

from halfopen.thread_dump.frames import Dump, Frame, Lock, Thread, ThreadsError
from halfopen.thread_dump.proc import dump
from halfopen.thread_dump.text import render

__all__ = ["Dump", "Frame", "Lock", "Thread", "ThreadsError", "dump", "render"]
