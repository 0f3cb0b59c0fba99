"""Who looks at a held session: somebody at a terminal, who presses keys, or nobody, for whom it is printed."""

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
from halfopen.repro.keys import Key
from halfopen.repro.look import Look
from halfopen.repro.terminal import Kept, Keys

#: Between two looks, seconds: often enough to follow, seldom enough to cost nothing.
_REFRESH = 0.25
#: Between two things that are done, seconds.
_TICK = 0.05
#: Keys that are given in advance are pressed so far apart, seconds.
_APART = 1.0


class Held(Protocol):
    """What is looked at."""

    @property
    def is_settled(self) -> bool:
        """Whether it is held, and all is known that is soon to be known of it."""
        ...

    def step(self) -> None:
        """Take in what happened, do what is due."""
        ...

    def patience(self, longest: float) -> float:
        """For how long nothing is to be done, seconds."""
        ...

    def look(self) -> Look:
        """What there is to see now."""
        ...

    def press(self, key: str) -> bool:
        """Do what a key asks for; False if it is no key."""
        ...

    def remark(self, text: str) -> None:
        """Write something down among what was done."""
        ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """How long somebody wants to look, and what is to be done meanwhile."""

    once: bool
    """Whether it is only to be printed, as soon as it is settled."""
    hold_for: float | None
    """So many seconds from then on; None: until told to quit, or at once where nobody could tell."""
    keys: str = ""
    """To be pressed from then on, one a second."""


@dataclass(slots=True)
class _Plan:
    """When keys that were given in advance are to be pressed, and when it is over."""

    wishes: Wishes
    is_endless: bool
    settled_at: float | None = None
    _pressed: int = field(default=0)

    def due(self, settled: bool) -> Iterator[str]:
        """The keys whose time has come."""
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
        """Whether there is nothing more to wait for."""
        if self.settled_at is None or self._pressed < len(self.wishes.keys):
            return False
        if self.wishes.hold_for is not None:
            return self._elapsed() >= self.wishes.hold_for
        return not self.is_endless and self._elapsed() >= _APART * len(self.wishes.keys) + (
            _APART if self._pressed else 0
        )


def on_paper(held: Held, console: Console, wishes: Wishes) -> None:
    """Print a look once it is settled, and another when it is over if anything was to happen meanwhile."""
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


def _print(console: Console, look: Look) -> None:
    console.print(view.draw(look, console.width), soft_wrap=True)
    console.print()


def tell(console: Console, account: Iterable[str]) -> None:
    """Print what is said at the end, on a terminal broken between words; the command to be copied is left whole."""
    for line in account:
        console.print(Text(line), soft_wrap=not console.is_terminal or line.startswith(AGAIN))


class Screen:
    """The whole terminal, until ``q``."""

    def __init__(
        self, console: Console, terminal: Kept, keys: Sequence[Key], shells: dict[str, Callable[[int], str]]
    ) -> None:
        """``shells``: what is to have the terminal instead for a while, by the key for it."""
        self._console, self._terminal, self._keys, self._shells = console, terminal, keys, shells
        self._helped = False

    def attend(self, held: Held, wishes: Wishes) -> None:
        """Show it until somebody quits; KeyboardInterrupt comes through."""
        keys = Keys(self._terminal.fd)
        plan = _Plan(wishes, is_endless=True)
        left: str | None = keyboard.HELP
        while left is not None:
            # Anew after each shell, which has drawn on the same terminal.
            with (
                keys.unbuffered(),
                self._terminal.drawn_on(),
                displayed(Live(console=self._console, screen=True, auto_refresh=False)) as live,
            ):
                left = self._show(held, keys, live, plan)
            if left is not None:
                self._shell(held, left)

    def _show(self, held: Held, keys: Keys, live: Live, plan: _Plan) -> str | None:
        """Until somebody quits (None), or a key is pressed that needs the terminal."""
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

    def _drawn(self, look: Look) -> Text:
        width, height = self._console.size
        return view.draw(look, width, height, self._keys, helped=self._helped)

    def _shell(self, held: Held, key: str) -> None:
        try:
            held.remark(f"{key}: {self._shells[key](self._terminal.fd)}")
        except OSError as error:
            held.remark(f"{key}: no shell: {error.strerror}")
