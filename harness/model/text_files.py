"""Read a text file that a user names, and report any problem with it in one line."""

from __future__ import annotations

from pathlib import Path

from halfopen.errors import InputError, reason_of

#: Largest file to read, in bytes: two days of a recording with a line a second. Reading that takes some seconds.
MOST = 4 << 20


def text_of(path: Path, kind: str, name: str | None = None) -> str:
    """Return a file's text, without a byte order mark and with newlines as LF. Errors call it ``kind`` and ``name``.

    Raises InputError for a file that cannot be read, is not text in UTF-8, or is larger than MOST. No more than that is
    read, since a pipe or a device may have no end.
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
