"""What was seen of a session until now: taken from its journal bit by bit, as a hold may last for hours."""

from __future__ import annotations

from halfopen.model.evidence import ENDED_STATES
from halfopen.model.journal import Journal
from halfopen.model.timeline import Event, Sample, Timeline

#: What comes for ever and is not told of.
_LITTLE = frozenset({("client", "progress"), ("target", "output"), ("registry", "status")})


class Record:
    """Events until now, and samples until they are no longer needed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._taken = [0, 0]
        self._keeps_samples = True
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self.over_at: float | None = None
        """When the server's side of the session was seen to have ended, seconds since its start."""
        self.gone_at: float | None = None
        """When the kernel was seen to have forgotten it, as far as is known."""

    def take(self) -> Timeline:
        """What is new."""
        new = self._journal.after(*self._taken)
        self._taken = [self._taken[0] + len(new.samples), self._taken[1] + len(new.events)]
        if self._keeps_samples:
            self._samples += new.samples
        self._events += [event for event in new.events if (event.kind, event.name) not in _LITTLE]
        if self.over_at is None:
            self.over_at = _over_at(new)
        # The newest word: what was destroyed may leave a lesser socket behind, which goes later.
        self.gone_at = max((event.t for event in new.of("kernel")), default=self.gone_at)
        return new

    def seen(self) -> Timeline:
        """All of it that is kept."""
        return Timeline(tuple(self._samples), tuple(self._events))

    def forget_samples(self) -> None:
        """Keep none from now on."""
        self._keeps_samples = False
        self._samples.clear()


def _over_at(new: Timeline) -> float | None:
    ended = [sample.t for sample in new.samples if sample.state in ENDED_STATES][:1]
    told = [event.t for event in (*new.of("kernel"), *new.of("client", "close_received"), *new.of("target", "exited"))]
    return min([*ended, *told], default=None)
