from __future__ import annotations

from halfopen.netns.tcp_timers import DoublingTimer


def test_attempts_come_at_doubling_distances_up_to_the_longest() -> None:
    timer = DoublingTimer(1.0, 4.0)
    assert timer.moments(15.0) == [1, 3, 7, 11, 15]
    assert [timer.after(count) for count in range(5)] == [0, 1, 3, 7, 11]
