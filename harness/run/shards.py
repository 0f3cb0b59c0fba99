"""Divide the runs of a call over guests, or over the machines of a CI. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from halfopen.errors import InputError

_WRITTEN = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


class Shard(msgspec.Struct, frozen=True):
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse ``"2/4"``, the second of four; raises InputError."""
        written = _WRITTEN.fullmatch(text)
        if not written:
            raise InputError(f"--shard {text!r}: not of the form I/N; write '1/4' for the first of four")
        index, count = int(written[1]), int(written[2])
        if not 1 <= index <= count:
            raise InputError(f"--shard {text!r}: there is no shard {index} of {count}; shards are counted from 1")
        return cls(index, count)

    def of(self, lengths: Sequence[float]) -> list[int]:
        """Return the numbers of this shard's runs, given the length of each run; raises InputError if there are none.

        An empty shard would be green and prove nothing.
        """
        if self.count > len(lengths):
            count = len(lengths)
            there = "is only 1 run" if count == 1 else f"are only {count} runs"
            most = "1 shard" if count == 1 else f"{count} shards"
            raise InputError(f"--shard {self}: there {there} for {self.count} shards; use at most {most}")
        return spread(lengths, self.count)[self.index - 1]


def spread(lengths: Sequence[float], count: int) -> list[list[int]]:
    """Divide the runs into shares, none empty. The longest go first, each to the share with the least to do.

    The result depends only on the lengths, so the same call always puts the same runs together.
    """
    shares: list[list[int]] = [[] for _ in range(min(count, len(lengths)))]
    loads = [0.0] * len(shares)
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        least = loads.index(min(loads))
        shares[least].append(number)
        loads[least] += lengths[number]
    return [sorted(share) for share in shares]
