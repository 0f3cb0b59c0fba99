"""Run a command as a good init does: signals, exit code, terminal and orphans.

The command has a process group of its own, which is in the foreground if ours was. It does not end if this process is
killed. Orphans are adopted, so that they stay below this process: Yama's ptrace_scope 1 lets only ancestors take the
sockets of a process.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from halfopen.netns import forking, processes

#: Signals that mean this process: its own faults, those of job control, and the two that nobody can catch.
_OWN = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS,
}  # fmt: skip
_AWAITED = signal.valid_signals() - _OWN
#: Those of which Python, or this module, changes the disposition.
_CHANGED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU)
_STDIN = 0
#: Most seconds of one wait, which must be finite.
_LONGEST = 3600.0


class StartError(Exception):
    """The command cannot be started."""

    def __init__(self, command: str, number: int) -> None:
        super().__init__(f"{command}: {os.strerror(number).lower()}")
        self.exit_code = 127 if number == errno.ENOENT else 126
        """As of a shell."""


class Supervisor:
    """One command, from its start to the end of its last process that serves."""

    def __init__(self, command: Sequence[str], is_serving: Callable[[], bool]) -> None:
        """``is_serving`` is asked once the command has exited with 0: it may have left a daemon behind."""
        self._command, self._is_serving = list(command), is_serving
        self._child = 0
        self._code: int | None = None
        self._has_terminal = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start the command; raises StartError. When the context is left, the terminal is ours again."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        before = {number: signal.getsignal(number) for number in (signal.SIGTTIN, signal.SIGTTOU)}
        for number in before:
            # A process in the background that writes to its terminal, or changes it, is stopped otherwise.
            signal.signal(number, signal.SIG_IGN)
        try:
            with forking.adopting():
                self._start(mask, {number: before.get(number, signal.SIG_DFL) for number in _CHANGED})
                yield
        finally:
            self._take_terminal()
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def wait(self, until: float) -> int | None:
        """Pass signals on until a moment of the monotonic clock; returns the exit code once the command has ended."""
        while True:
            self._reap()
            if self._code is not None and (self._code or not (self._has_children() and self._is_serving())):
                return self._code
            left = min(until - time.monotonic(), _LONGEST)
            if left <= 0 or (caught := signal.sigtimedwait(_AWAITED, left)) is None:
                return None
            if caught.si_signo == signal.SIGCONT:
                self._give_terminal()
            if caught.si_signo != signal.SIGCHLD:
                self._forward(caught.si_signo)

    def _start(self, mask: set[signal.Signals | int], handlers: dict[signal.Signals, object]) -> None:
        self._has_terminal = os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) == os.getpgrp()
        hear, tell = os.pipe()
        forking.flush()
        self._child = os.fork()
        if not self._child:
            self._execute(mask, handlers, tell)
        os.close(tell)
        with os.fdopen(hear) as answer:
            number = answer.read()
        if number:
            os.waitpid(self._child, 0)
            raise StartError(self._command[0], int(number))

    def _execute(self, mask: set[signal.Signals | int], handlers: dict[signal.Signals, object], tell: int) -> NoReturn:
        try:
            os.setpgid(0, 0)
            if self._has_terminal:
                os.tcsetpgrp(_STDIN, os.getpgrp())
            for number, handler in handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if os.environ.get("LISTEN_PID") == str(os.getppid()):
                # systemd passed us its sockets, for the server (sd_listen_fds(3)).
                os.environ["LISTEN_PID"] = str(os.getpid())
            os.execvp(self._command[0], self._command)  # noqa: S606 (the user's command)
        except OSError as error:
            os.write(tell, str(error.errno).encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        """Collect the processes that have ended, also those that were adopted."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | (os.WUNTRACED if self._has_terminal else 0))
                if not pid:
                    return
                if os.WIFSTOPPED(status):
                    if pid == self._child:
                        self._suspend()
                elif pid == self._child:
                    self._code = forking.exit_code(status)
                    self._take_terminal()

    def _has_children(self) -> bool:
        try:
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def _forward(self, number: int) -> None:
        # The daemons that a command has left behind were adopted.
        targets = [self._child] if self._code is None else list(processes.children(os.getpid()))
        for pid in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _suspend(self) -> None:
        """Stop with the command, as Ctrl-Z stops both for the shell, and continue with it."""
        self._take_terminal()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._give_terminal()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGCONT)

    def _give_terminal(self) -> None:
        """Put the command's group into the foreground if ours is."""
        if self._has_terminal and self._code is None:
            with contextlib.suppress(OSError):
                if os.tcgetpgrp(_STDIN) == os.getpgrp():
                    os.tcsetpgrp(_STDIN, self._child)

    def _take_terminal(self) -> None:
        """Put our group into the foreground if the command's is."""
        if self._has_terminal:
            with contextlib.suppress(OSError):
                if os.tcgetpgrp(_STDIN) == self._child:
                    os.tcsetpgrp(_STDIN, os.getpgrp())
