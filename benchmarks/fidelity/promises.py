"""What Linux promises of a timer: how much later than asked it may end. Pure."""

from __future__ import annotations

from enum import StrEnum

#: What a thread allows its timers to be late (prctl(2), PR_SET_TIMERSLACK).
_THREAD_SLACK = 50e-6
#: select, poll and epoll allow a thousandth of what is waited for, at most 100 ms (fs/select.c,
#: select_estimate_accuracy).
_SHARE, _MOST_SLACK = 1e-3, 0.1
#: The wheel's lowest level has 64 buckets, each level above is eight times as coarse (kernel/time/timer.c).
_FIRST_LEVEL, _COARSER = 63, 8

#: What the way to the timer and back may take; on the virtual clock it takes nothing.
MARGIN = 1e-3


class Timer(StrEnum):
    """What a way of waiting rests on in the kernel."""

    EXACT = "hrtimer"
    SLACK = "hrtimer, 50 us slack"
    RANGE = "hrtimer, 0.1 % slack"
    MILLISECONDS = "hrtimer, 0.1 % slack, whole ms"
    """As RANGE, asked in whole milliseconds counted from a clock that was read a little before."""
    WHEEL = "timer wheel"


def lateness(timer: Timer, asked: float, jiffy: float) -> float:
    """Seconds by which a wait of ``asked`` seconds may end late, where the kernel ticks every ``jiffy`` seconds."""
    ranged = min(max(asked * _SHARE, _THREAD_SLACK), _MOST_SLACK)
    return {
        Timer.EXACT: 0.0,
        Timer.SLACK: _THREAD_SLACK,
        Timer.RANGE: ranged,
        Timer.MILLISECONDS: 1e-3 + ranged,
        # Rounded up to a tick, and then to the bucket after the one it falls into.
        Timer.WHEEL: jiffy + granularity(asked, jiffy),
    }[timer]


def granularity(asked: float, jiffy: float) -> float:
    """The width in seconds of the wheel's buckets for a timer so far away: a tick, or about an eighth of it."""
    width, reach = 1, _FIRST_LEVEL
    while asked / jiffy >= reach:
        width, reach = width * _COARSER, reach * _COARSER
    return width * jiffy


def earliness(timer: Timer) -> float:
    """Seconds by which a wait may end early: nothing, but for a millisecond where a clock was read before."""
    return 1e-3 if timer is Timer.MILLISECONDS else 0.0
