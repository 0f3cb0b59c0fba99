"""A close frame that nobody read is found only if the bytes leave no doubt."""

from __future__ import annotations

import pytest
from websockets.frames import Close, Frame, Opcode

from halfopen.clients._frames import unread_close

CLOSE = Close(1011, "keepalive ping timeout")


def frames(*parts: tuple[Opcode, bytes]) -> bytes:
    return b"".join(Frame(opcode, data).serialize(mask=False) for opcode, data in parts)


LAST = (Opcode.CLOSE, CLOSE.serialize())


@pytest.mark.parametrize("size", [0, 125, 126, 70_000])
def test_it_is_found_behind_other_frames(size: int) -> None:
    data = frames((Opcode.BINARY, bytes(size)), (Opcode.PING, b"abcd"), LAST)
    assert unread_close(data) == CLOSE


def test_nothing_is_found_where_it_is_not_certain() -> None:
    whole = frames((Opcode.BINARY, bytes(70_000)), LAST)
    assert unread_close(b"") is None
    assert unread_close(whole[:-1]) is None, "cut off"
    assert unread_close(whole + b"\x82") is None, "not the last"
    assert unread_close(frames((Opcode.BINARY, b"x" * 50))) is None, "no close frame"
    assert unread_close(whole[1:]) is None, "not from a frame's beginning"
    assert unread_close(Frame(*LAST).serialize(mask=True)) is None, "a client's"
    assert unread_close(frames((Opcode.CLOSE, b"\x00\x01"))) is None, "no code that may be sent"
    assert unread_close(b"\x17\x03\x03\x00\x05hello") is None, "TLS"


def test_a_close_frame_may_have_no_code() -> None:
    close = unread_close(frames((Opcode.CLOSE, b"")))
    assert close is not None
    assert close.reason == ""
