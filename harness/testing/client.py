"""A test's client, and the faults to inject into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import pytest

from halfopen.testing.channel import Channel
from halfopen.testing.messages import BeginFault, Done, UndoFault

__all__ = ["Client", "Fault"]

#: Faults that :meth:`Client.heal` undoes.
_OF_THE_PATH = ("cut", "impair")


class Fault:
    """A fault in force.

    As a context manager it is undone on leaving; otherwise when the test ends.
    """

    def __init__(self, channel: Channel, client: int, name: str, step: int) -> None:
        self._channel = channel
        self._client = client
        self.name = name
        self._step = step

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # After an exception it is undone with the lab, so that the report shows the events until then.
        if error is None:
            self.undo()

    def __repr__(self) -> str:
        return f"<fault {self.name} on client {self._client + 1}>"

    def undo(self) -> None:
        """Undo the fault; a second call does nothing."""
        __tracebackhide__ = True
        self._channel.ask(UndoFault(self._client, self._step), Done)


@dataclass(repr=False)
class Client:
    """A client with a session, on a host and link of its own. Each action returns once it is seen to have worked."""

    channel: Channel
    number: int
    behaviour: str
    _in_force: list[Fault] = field(default_factory=list)

    def __repr__(self) -> str:
        names = ", ".join(fault.name for fault in self._in_force)
        return f"<client {self.number + 1}: {self.behaviour}{f', {names}' if names else ''}>"

    def fault(self, name: str, /, **options: Any) -> Fault:
        """Inject any fault of the catalogue (docs/scenarios.md), with its options as a scenario writes them."""
        __tracebackhide__ = True
        step = self.channel.ask(BeginFault(self.number, name, options), Done).number
        fault = Fault(self.channel, self.number, name, step)
        self._in_force.append(fault)
        return fault

    def freeze(self) -> Fault:
        """Stop the process (SIGSTOP): a slept laptop, a tab in the freezer. Its kernel lives on."""
        __tracebackhide__ = True
        return self.fault("freeze")

    def thaw(self) -> None:
        """Let the stopped process go on."""
        __tracebackhide__ = True
        self._undo("thaw", "freeze")

    def cut(self, direction: Literal["both", "to_client", "to_server"] = "both") -> Fault:
        """Drop all packets on its path silently, as a tunnel or a handover does."""
        __tracebackhide__ = True
        return self.fault("cut", direction=direction)

    def slow(self, rate: str) -> Fault:
        """Limit its link to ``rate`` both ways, such as ``"64kbit"``."""
        __tracebackhide__ = True
        return self.fault("impair", rate=rate)

    def heal(self) -> None:
        """Undo all cuts and rate limits of the path, the last first."""
        __tracebackhide__ = True
        self._undo("heal", *_OF_THE_PATH)

    def close(self) -> Fault:
        """Start the closing handshake."""
        __tracebackhide__ = True
        return self.fault("close")

    def kill(self) -> Fault:
        """End the process (SIGKILL). Its kernel tells the server."""
        __tracebackhide__ = True
        return self.fault("kill")

    def _undo(self, action: str, *names: str) -> None:
        __tracebackhide__ = True
        mine = [fault for fault in self._in_force if fault.name in names]
        if not mine:
            pytest.fail(f"halfopen: there is nothing to {action}: client {self.number + 1} is under no {names[0]}")
        for fault in reversed(mine):
            fault.undo()
            self._in_force.remove(fault)
