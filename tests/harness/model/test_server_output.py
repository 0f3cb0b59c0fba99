"""The lines around a moment: the server's own, its tracebacks, and those of proxies."""

from __future__ import annotations

from halfopen.model import server_output
from halfopen.model.server_output import ProxyLine
from halfopen.model.timeline import Event, Timeline
from tests.harness.lines import event, line

TRACEBACK = ["Traceback (most recent call last):", '  File "app.py", line 3, in handler', "    rooms[name]"]


def said(t: float, *texts: str) -> list[Event]:
    return [event(t + n / 1000, "target", "output", text=text) for n, text in enumerate(texts)]


def at_10(*parts: list[Event] | Event) -> list[str]:
    return server_output.said(line(*parts), 10.0)


def test_only_lines_within_two_seconds_count() -> None:
    assert at_10(said(7.9, "early"), said(8.1, "before"), said(11.9, "after"), said(12.1, "late")) == [
        "before",
        "after",
    ]


def test_the_time_of_day_is_left_out() -> None:
    texts = ("2026-11-30 21:42:53,123 INFO closing", "[2026-11-30 21:42:53 +0000] [7] shutting down")
    assert at_10(said(10, *texts)) == ["INFO closing", "[7] shutting down"]


def test_a_traceback_is_whole_even_if_it_began_before() -> None:
    assert at_10(said(7.999, *TRACEBACK, "KeyError: 'lobby'")) == [*TRACEBACK, "KeyError: 'lobby'"]
    assert at_10(said(1.0, *TRACEBACK, "KeyError: 'lobby'"), said(10.0, "bye"))[-2:] == ["KeyError: 'lobby'", "bye"]


def test_a_chained_traceback_is_one_with_the_last_exception() -> None:
    chain = [
        *TRACEBACK,
        "KeyError: 'lobby'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
    ]
    timeline = line(said(10.0, *chain, *TRACEBACK, "RoomError: no lobby"))
    assert server_output.exceptions(timeline, 10.0) == ["RoomError: no lobby"]


def test_two_tracebacks_are_two() -> None:
    timeline = line(said(10.0, *TRACEBACK, "KeyError: 'a'", *TRACEBACK, "KeyError: 'b'"))
    assert server_output.exceptions(timeline, 10.0) == ["KeyError: 'a'", "KeyError: 'b'"]
    assert server_output.exceptions(timeline, 13.0) == []


def test_exceptions_of_other_languages_have_a_frame_below() -> None:
    node = ("TypeError: x is not a function", "    at Server.<anonymous> (/app/server.js:7)")
    java = ("java.lang.IllegalStateException: no room", "\tat com.example.Room.join(Room.java:7)")
    go = "2026/11/30 21:42:53 http: panic serving 10.0.0.1:5000: no room"
    timeline = line(said(10.0, *node, *java, go, "Error: only a message", "bye"))
    assert server_output.exceptions(timeline, 10.0) == [node[0], java[0], go.partition("53 ")[2]]


def test_of_a_chatty_server_the_last_lines_are_told_and_how_many_are_missing() -> None:
    lines = at_10(said(9, *(f"line {n}" for n in range(100))), event(3.0, "target", "output_dropped", lines=1234))
    assert lines[:2] == [
        "(1234 lines of its output are not kept)",
        "(60 more lines within 2s are in the timeline)",
    ]
    assert lines[2:] == [f"line {n}" for n in range(60, 100)]


def test_stacks_that_were_asked_for_are_not_what_it_said() -> None:
    assert at_10(said(9, "hello"), event(9.5, "target", "stacks_asked", pid=7), said(10, "Thread 1:")) == ["hello"]


def test_the_log_of_nginx_in_a_servers_output_is_nginxs() -> None:
    text = "2026/11/30 21:42:53 [error] 56#56: *1 upstream timed out (110: Connection timed out) while reading upstream"
    timeline = line(said(10, text, "own"))
    proxied = "upstream timed out (110: Connection timed out) while reading upstream"
    assert server_output.of_proxies(timeline, 10.0) == [ProxyLine("nginx", proxied)]
    assert server_output.said(timeline, 10.0) == ["own"]
    assert server_output.of_proxies(timeline, 20.0) == []


def test_the_log_of_haproxy_in_a_servers_output_is_haproxys() -> None:
    for log in (
        "10.0.0.1:5000 [30/Nov/2026:21:42:53.123] edge server/one 0/0/60001 2345 sD 1/1/0/0/0 0/0",
        "10.0.0.1:5000 [30/Nov/2026:21:42:53.123] edge server/one 0/0/0/1/60001 101 234 - - sD-- 1/1/0/0/0 0/0 {}",
    ):
        (proxied,) = server_output.of_proxies(line(said(10, log)), 10.0)
        assert proxied.proxy == "haproxy"
        assert proxied.text.startswith("edge server/one ")
        assert proxied.text.endswith("(termination sD)")


def test_a_server_that_logs_in_brackets_is_no_proxy() -> None:
    assert server_output.of_proxies(line(said(10, "[error] no such room", "INFO [30/Nov/2026] GET /")), 10.0) == []


def test_a_proxy_in_front_has_a_name() -> None:
    timeline = line(event(10, "edge", "output", text="[error] 5#5: *1 upstream timed out", proxy="nginx"))
    assert server_output.of_proxies(timeline, 10.0) == [ProxyLine("nginx", "upstream timed out")]
    assert server_output.said(timeline, 10.0) == []


def test_a_silent_server_said_nothing() -> None:
    assert server_output.said(Timeline(), 10.0) == []
