"""Front ends of a held session: a user at a terminal who presses keys, or plain printed output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from halfopen.displays import displayed
from halfopen.netns.exit_codes import ExitCode
from halfopen.repro import keys as keyboard
from halfopen.repro import view
from halfopen.repro.keys import KeyStroke
from halfopen.repro.terminal import Kept, Keys
from halfopen.repro.view import SessionView

#: Seconds between two redraws: often enough to follow, rarely enough to cost nothing.
_REFRESH = 0.25
#: Seconds between two steps.
_TICK = 0.05
#: Seconds between two keys that were given in advance.
_APART = 1.0
#: Prefix of the line that repeats the command.
AGAIN = "again:"


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

    def view(self) -> SessionView:
        """Return the current state for display."""
        ...

    def press(self, key: str) -> bool:
        """Carry out a key; False if there is no such key."""
        ...

    def remark(self, text: str) -> None:
        """Add a remark to the list of actions."""
        ...


@dataclass(frozen=True, slots=True)
class HoldOptions:
    """The length of a hold, the keys to press meanwhile, and the place to show it."""

    hold_for: float | None = None
    """Seconds to hold from then on. None holds until the user quits, or ends at once if no user could."""
    keys: str = ""
    """Keys to press once the session has settled, one a second."""
    terminal: Kept | None = None
    """Terminal for the display; None prints instead."""


class _Schedule:
    """When the keys given in advance are due, and when the hold is over."""

    def __init__(self, options: HoldOptions) -> None:
        self._options = options
        self._settled_at: float | None = None
        self._pressed = 0

    def due(self, *, is_settled: bool) -> Iterator[str]:
        """Yield the keys that are due."""
        if self._settled_at is None:
            if not is_settled:
                return
            self._settled_at = time.monotonic()
        keys = self._options.keys
        while self._pressed < len(keys) and self._elapsed >= _APART * (self._pressed + 1):
            self._pressed += 1
            yield keys[self._pressed - 1]

    @property
    def has_begun(self) -> bool:
        """True once the session has settled."""
        return self._settled_at is not None

    @property
    def _elapsed(self) -> float:
        return 0.0 if self._settled_at is None else time.monotonic() - self._settled_at

    @property
    def is_over(self) -> bool:
        """True if there is nothing left to wait for."""
        keys, hold_for = len(self._options.keys), self._options.hold_for
        if not self.has_begun or self._pressed < keys:
            return False
        if hold_for is not None:
            return self._elapsed >= hold_for
        # The last key has a second to take effect.
        return self._options.terminal is None and self._elapsed >= _APART * (keys + 1 if keys else 0)


def attend(
    held: Held,
    console: Console,
    options: HoldOptions,
    keys: Sequence[KeyStroke],
    shells: Mapping[str, Callable[[int], str]],
) -> ExitCode:
    """Show the session until the user quits or the hold is over; returns the exit code.

    ``shells`` maps a key to the function that takes over the terminal for a while.
    """
    try:
        if options.terminal is None:
            _print_states(held, console, options)
        else:
            _Screen(console, options.terminal, keys, shells).attend(held, options)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.PASSED


def _print_states(held: Held, console: Console, options: HoldOptions) -> None:
    """Print the state once it has settled, and again at the end if anything was to happen meanwhile."""
    schedule = _Schedule(options)
    is_shown = quits = False
    while True:
        time.sleep(held.patience(_TICK))
        held.step()
        for key in schedule.due(is_settled=held.is_settled):
            quits = quits or key == keyboard.QUIT
            if not quits:
                held.press(key)
        if schedule.has_begun and not is_shown:
            is_shown = True
            _print(console, held.view())
        if schedule.is_over or quits:
            if options.keys or options.hold_for is not None:
                _print(console, held.view())
            return


def _print(console: Console, shown: SessionView) -> None:
    console.print(view.draw(shown, console.width), soft_wrap=True)
    console.print()


def print_account(console: Console, account: Iterable[str]) -> None:
    """Print the closing account.

    A terminal breaks lines between words, but the command to be copied stays whole.
    """
    for line in account:
        console.print(Text(line), soft_wrap=not console.is_terminal or line.startswith(AGAIN))


class _Screen:
    """A full-screen display, until ``q``."""

    def __init__(
        self, console: Console, terminal: Kept, keys: Sequence[KeyStroke], shells: Mapping[str, Callable[[int], str]]
    ) -> None:
        self._console, self._terminal, self._keys, self._shells = console, terminal, keys, shells
        self._shows_help = False

    def attend(self, held: Held, options: HoldOptions) -> None:
        """Show the session until the user quits. KeyboardInterrupt passes through."""
        keys = Keys(self._terminal.fd)
        schedule = _Schedule(options)
        left: str | None = keyboard.HELP
        while left is not None:
            # Set up again after each shell, which has drawn on the same terminal.
            with (
                keys.unbuffered(),
                self._terminal.drawn_on(),
                displayed(Live(console=self._console, screen=True, auto_refresh=False)) as live,
            ):
                left = self._show(held, keys, live, schedule)
            if left is not None:
                self._shell(held, left)

    def _show(self, held: Held, keys: Keys, live: Live, schedule: _Schedule) -> str | None:
        """Show the session until the user quits (None), or presses a key that needs the terminal."""
        drawn_at = 0.0
        while True:
            typed = keys.read(held.patience(_TICK))
            held.step()
            pressed: list[str] = [*typed, *schedule.due(is_settled=held.is_settled)]
            for key in pressed:
                if key == keyboard.QUIT:
                    return None
                if key in self._shells:
                    return key
                self._press(held, key)
            if schedule.is_over:
                return None
            if typed or time.monotonic() - drawn_at >= _REFRESH:
                live.update(self._drawn(held.view()), refresh=True)
                drawn_at = time.monotonic()

    def _press(self, held: Held, key: str) -> None:
        if key == keyboard.HELP:
            self._shows_help = not self._shows_help
        elif not held.press(key):
            held.remark(f"{keyboard.named(key)}: no such key; press {keyboard.HELP} to see all keys")

    def _drawn(self, shown: SessionView) -> Text:
        width, height = self._console.size
        return view.draw(shown, width, height, self._keys, shows_help=self._shows_help)

    def _shell(self, held: Held, key: str) -> None:
        try:
            held.remark(f"{key}: {self._shells[key](self._terminal.fd)}")
        except OSError as error:
            held.remark(f"{key}: no shell: {error.strerror}")
