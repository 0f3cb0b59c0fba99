"""Reads a text file that a user names, so that whatever is wrong with it is told in one line."""

from __future__ import annotations

from pathlib import Path

from halfopen.errors import InputError, reason_of

#: The largest that is read, bytes: two days of a recording with a line a second, which takes some seconds to read.
MOST = 4 << 20


def text_of(path: Path, kind: str, name: str | None = None) -> str:
    """What a file says, without a byte order mark and with newlines of one kind; errors call it ``kind`` and ``name``.

    Raises InputError for what cannot be read, is no text in UTF-8, or is larger than MOST. Nothing beyond that is read:
    a pipe or a device may have no end.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise InputError(f"{kind} {name} is larger than {MOST >> 20} MiB; name one that is smaller")
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise InputError(f"no such {kind}: {name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {kind} {name}: {reason_of(error)}; name one that can be read") from None
