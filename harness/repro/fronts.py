"""Front ends of a held session: a user at a terminal who presses keys, or plain printed output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from halfopen.displays import displayed
from halfopen.repro import keys as keyboard
from halfopen.repro import view
from halfopen.repro.account import AGAIN
from halfopen.repro.keys import KeyStroke
from halfopen.repro.look import SessionView
from halfopen.repro.terminal import Kept, Keys

#: Seconds between two redraws: often enough to follow, rarely enough to cost nothing.
_REFRESH = 0.25
#: Seconds between two steps.
_TICK = 0.05
#: Seconds between two keys that were given in advance.
_APART = 1.0


class Held(Protocol):
    """The held session that a front end shows."""

    @property
    def is_settled(self) -> bool:
        """True if the session is held and all that will soon be known of it is known."""
        ...

    def step(self) -> None:
        """Take in events and do what is due."""
        ...

    def patience(self, longest: float) -> float:
        """Seconds until something is due."""
        ...

    def look(self) -> SessionView:
        """Return the current state for display."""
        ...

    def press(self, key: str) -> bool:
        """Carry out a key; False if there is no such key."""
        ...

    def remark(self, text: str) -> None:
        """Add a remark to the list of actions."""
        ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """The user's wishes: how long to hold, and which keys to press meanwhile."""

    once: bool
    """True to print once, as soon as the session has settled."""
    hold_for: float | None
    """Seconds to hold from then on. None holds until the user quits, or ends at once if no user could."""
    keys: str = ""
    """Keys to press from then on, one a second."""


@dataclass(slots=True)
class _Plan:
    """Schedule of the keys given in advance, and of the end."""

    wishes: Wishes
    is_endless: bool
    settled_at: float | None = None
    _pressed: int = field(default=0)

    def due(self, settled: bool) -> Iterator[str]:
        """Yield the keys that are due."""
        if not settled and self.settled_at is None:
            return
        self.settled_at = time.monotonic() if self.settled_at is None else self.settled_at
        while self._pressed < len(self.wishes.keys) and self._elapsed() >= _APART * (self._pressed + 1):
            self._pressed += 1
            yield self.wishes.keys[self._pressed - 1]

    def _elapsed(self) -> float:
        return 0.0 if self.settled_at is None else time.monotonic() - self.settled_at

    @property
    def is_over(self) -> bool:
        """True if there is nothing left to wait for."""
        if self.settled_at is None or self._pressed < len(self.wishes.keys):
            return False
        if self.wishes.hold_for is not None:
            return self._elapsed() >= self.wishes.hold_for
        return not self.is_endless and self._elapsed() >= _APART * len(self.wishes.keys) + (
            _APART if self._pressed else 0
        )


def on_paper(held: Held, console: Console, wishes: Wishes) -> None:
    """Print the state once it has settled, and again at the end if anything was to happen meanwhile."""
    plan = _Plan(wishes, is_endless=False)
    shown = quits = False
    while True:
        time.sleep(held.patience(_TICK))
        held.step()
        for key in plan.due(held.is_settled):
            quits = quits or key == keyboard.QUIT
            if not quits:
                held.press(key)
        if plan.settled_at is not None and not shown:
            shown = True
            _print(console, held.look())
        if plan.is_over or quits:
            if wishes.keys or wishes.hold_for is not None:
                _print(console, held.look())
            return


def _print(console: Console, look: SessionView) -> None:
    console.print(view.draw(look, console.width), soft_wrap=True)
    console.print()


def tell(console: Console, account: Iterable[str]) -> None:
    """Print the closing account.

    A terminal breaks lines between words, but the command to be copied stays whole.
    """
    for line in account:
        console.print(Text(line), soft_wrap=not console.is_terminal or line.startswith(AGAIN))


class Screen:
    """A full-screen display, until ``q``."""

    def __init__(
        self, console: Console, terminal: Kept, keys: Sequence[KeyStroke], shells: dict[str, Callable[[int], str]]
    ) -> None:
        """``shells`` maps a key to the function that takes over the terminal for a while."""
        self._console, self._terminal, self._keys, self._shells = console, terminal, keys, shells
        self._helped = False

    def attend(self, held: Held, wishes: Wishes) -> None:
        """Show the session until the user quits. KeyboardInterrupt passes through."""
        keys = Keys(self._terminal.fd)
        plan = _Plan(wishes, is_endless=True)
        left: str | None = keyboard.HELP
        while left is not None:
            # Set up again after each shell, which has drawn on the same terminal.
            with (
                keys.unbuffered(),
                self._terminal.drawn_on(),
                displayed(Live(console=self._console, screen=True, auto_refresh=False)) as live,
            ):
                left = self._show(held, keys, live, plan)
            if left is not None:
                self._shell(held, left)

    def _show(self, held: Held, keys: Keys, live: Live, plan: _Plan) -> str | None:
        """Show the session until the user quits (None), or presses a key that needs the terminal."""
        drawn_at = 0.0
        while True:
            typed = keys.read(held.patience(_TICK))
            held.step()
            pressed: list[str] = [*typed, *plan.due(held.is_settled)]
            for key in pressed:
                if key == keyboard.QUIT:
                    return None
                if key in self._shells:
                    return key
                self._press(held, key)
            if plan.is_over:
                return None
            if typed or time.monotonic() - drawn_at >= _REFRESH:
                live.update(self._drawn(held.look()), refresh=True)
                drawn_at = time.monotonic()

    def _press(self, held: Held, key: str) -> None:
        if key == keyboard.HELP:
            self._helped = not self._helped
        elif not held.press(key):
            held.remark(f"{keyboard.named(key)}: no such key; {keyboard.HELP} shows which there are")

    def _drawn(self, look: SessionView) -> Text:
        width, height = self._console.size
        return view.draw(look, width, height, self._keys, helped=self._helped)

    def _shell(self, held: Held, key: str) -> None:
        try:
            held.remark(f"{key}: {self._shells[key](self._terminal.fd)}")
        except OSError as error:
            held.remark(f"{key}: no shell: {error.strerror}")
