"""Linux's guarantees for timers: the most by which one may end late. Pure."""

from __future__ import annotations

from enum import StrEnum

#: A thread's default timer slack in seconds (prctl(2), PR_SET_TIMERSLACK).
_THREAD_SLACK = 50e-6
#: select, poll and epoll allow a thousandth of the wait as slack, at most 100 ms (fs/select.c,
#: select_estimate_accuracy).
_SHARE, _MOST_SLACK = 1e-3, 0.1
#: The wheel's lowest level has 64 buckets. Each higher level is eight times as coarse (kernel/time/timer.c).
_FIRST_LEVEL, _COARSER = 63, 8

#: Seconds allowed for the calls around the timer. On the virtual clock they take no time.
MARGIN = 1e-3


class Timer(StrEnum):
    """The kernel timer behind a way of waiting."""

    EXACT = "hrtimer"
    SLACK = "hrtimer, 50 us slack"
    RANGE = "hrtimer, 0.1 % slack"
    MILLISECONDS = "hrtimer, 0.1 % slack, whole ms"
    """As RANGE, but the wait is in whole milliseconds from a clock that was read slightly earlier."""
    WHEEL = "timer wheel"


def lateness(timer: Timer, asked: float, jiffy: float) -> float:
    """Seconds by which a wait of ``asked`` seconds may end late, if the kernel ticks every ``jiffy`` seconds."""
    ranged = min(max(asked * _SHARE, _THREAD_SLACK), _MOST_SLACK)
    return {
        Timer.EXACT: 0.0,
        Timer.SLACK: _THREAD_SLACK,
        Timer.RANGE: ranged,
        Timer.MILLISECONDS: 1e-3 + ranged,
        # Rounded up to a tick, then to the bucket after its own.
        Timer.WHEEL: jiffy + granularity(asked, jiffy),
    }[timer]


def granularity(asked: float, jiffy: float) -> float:
    """Width in seconds of the wheel's buckets for a timer this far away: a tick, or about an eighth of the wait."""
    width, reach = 1, _FIRST_LEVEL
    while asked / jiffy >= reach:
        width, reach = width * _COARSER, reach * _COARSER
    return width * jiffy


def earliness(timer: Timer) -> float:
    """Seconds by which a wait may end early: none, or a millisecond if a clock was read before."""
    return 1e-3 if timer is Timer.MILLISECONDS else 0.0
