"""Frames that a server sent, in bytes that its client has not read (RFC 6455, section 5.2). Pure."""

from __future__ import annotations

import struct

from websockets.exceptions import ProtocolError
from websockets.frames import Close, Opcode

_FIN, _OPCODE, _MASKED, _LENGTH = 0x80, 0x0F, 0x80, 0x7F
_LONG, _LONGEST = 126, 127
_CONTROL = (Opcode.CLOSE, Opcode.PING, Opcode.PONG)


def unread_close(data: bytes) -> Close | None:
    """Return the close frame in which these bytes end.

    None if there is none, if they are not whole frames, or if they are anything else, such as TLS.
    """
    at = 0
    while at + 2 <= len(data):
        opcode, length = data[at] & _OPCODE, data[at + 1] & _LENGTH
        is_control = opcode in _CONTROL
        if opcode not in [*Opcode] or data[at + 1] & _MASKED:  # a server masks nothing
            return None
        if is_control and (length >= _LONG or not data[at] & _FIN):
            return None
        at += 2
        if length >= _LONG:
            size, form = (2, "!H") if length == _LONG else (8, "!Q")
            if at + size > len(data):
                return None
            (length,) = struct.unpack_from(form, data, at)
            at += size
        if opcode == Opcode.CLOSE:
            return _parsed(data[at : at + length]) if at + length == len(data) else None
        at += length
    return None


def _parsed(payload: bytes) -> Close | None:
    try:
        close = Close.parse(payload)
        if payload:
            close.check()
    except (ProtocolError, UnicodeDecodeError):
        return None
    return close
