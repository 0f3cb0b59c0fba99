"""The blocks of a capture file, to the byte."""

from __future__ import annotations

import struct

import pytest

from halfopen.netns import pcapng

AT = 1_795_658_103_178_295_123


def options(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        code, length = struct.unpack_from("=HH", data)
        found[code] = data[4 : 4 + length]
        data = data[4 + length + -length % 4 :]
    assert found.pop(0) == b""
    return found


def body(block: bytes, kind: int) -> bytes:
    """Return the part between a block's two lengths, which must be right."""
    assert struct.unpack_from("=II", block) == (kind, len(block))
    assert struct.unpack("=I", block[-4:]) == (len(block),)
    assert len(block) % 4 == 0
    return block[8:-4]


def test_a_section_says_where_and_by_what_it_was_made() -> None:
    data = body(pcapng.section_header("x86_64", "Linux 6.1", "halfopen 0.1"), 0x0A0D0D0A)
    assert struct.unpack_from("=IHHq", data) == (0x1A2B3C4D, 1, 0, -1)
    assert options(data[16:]) == {2: b"x86_64", 3: b"Linux 6.1", 4: b"halfopen 0.1"}


def test_an_interface_counts_nanoseconds() -> None:
    data = body(pcapng.interface_description("eth1", "of host client"), 1)
    assert struct.unpack_from("=HHI", data) == (1, 0, 262144)
    assert options(data[8:]) == {2: b"eth1", 3: b"of host client", 9: b"\x09"}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1500])
def test_a_packet_is_padded_to_words(size: int) -> None:
    block = pcapng.packet(0, AT, b"x" * size, size + 7, outgoing=True, comments=["first", "second"], lost=3)
    data = body(block, 6)
    interface, high, low, captured, length = struct.unpack_from("=IIIII", data)
    assert (interface, high << 32 | low, captured, length) == (0, AT, size, size + 7)
    assert data[20 : 20 + size] == b"x" * size
    rest = data[20 + size + -size % 4 :]
    assert rest.startswith(struct.pack("=HH5s3x", 1, 5, b"first"))
    assert options(rest) == {1: b"second", 2: struct.pack("=I", 2), 4: struct.pack("=Q", 3)}


def test_what_comes_in_and_nothing_lost_is_said_too() -> None:
    data = body(pcapng.packet(0, AT, b"", 0, outgoing=False), 6)
    assert options(data[20:]) == {2: struct.pack("=I", 1)}


def test_statistics_tell_what_was_dropped() -> None:
    data = body(pcapng.statistics(0, AT, AT + 5, received=12, dropped=2), 5)
    assert struct.unpack_from("=III", data) == (0, AT + 5 >> 32, AT + 5 & 0xFFFFFFFF)
    found = options(data[12:])
    assert (found[4], found[7]) == (struct.pack("=Q", 12), struct.pack("=Q", 2))
    assert found[2] == struct.pack("=II", AT >> 32, AT & 0xFFFFFFFF)


def test_a_note_of_several_lines_is_one() -> None:
    data = body(pcapng.journal_entry(AT, "halfopen", "a\nb=c"), 9)
    assert data.rstrip(b"\0").decode().splitlines() == [
        "__REALTIME_TIMESTAMP=1795658103178295",
        "PRIORITY=5",
        "SYSLOG_IDENTIFIER=halfopen",
        "MESSAGE=a b=c",
    ]


def test_a_comment_is_cut_where_an_option_ends() -> None:
    block = pcapng.packet(0, AT, b"", 0, outgoing=False, comments=["ü" * 40_000])
    assert options(body(block, 6)[20:])[1].decode() == "ü" * 32_767
