"""Running record of a session, taken from its journal piece by piece, since a hold may last for hours."""

from __future__ import annotations

from halfopen.model.evidence import ENDED_STATES
from halfopen.model.journal import Journal
from halfopen.model.timeline import Event, Sample, Timeline

#: Frequent events that are not reported.
_LITTLE = frozenset({("client", "progress"), ("client", "output"), ("target", "output"), ("registry", "status")})


class Record:
    """All events so far, and samples until they are no longer needed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._taken = [0, 0]
        self._keeps_samples = True
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self.over_at: float | None = None
        """Time at which the server's side of the session was seen to have ended, seconds since its start."""
        self.gone_at: float | None = None
        """Time at which the kernel was seen to have forgotten the session, as far as is known."""

    def take(self) -> Timeline:
        """Take in and return what is new."""
        new = self._journal.after(*self._taken)
        self._taken = [self._taken[0] + len(new.samples), self._taken[1] + len(new.events)]
        if self._keeps_samples:
            self._samples += new.samples
        self._events += [event for event in new.events if (event.kind, event.name) not in _LITTLE]
        if self.over_at is None:
            self.over_at = _over_at(new)
        # The newest event counts: a destroyed socket may leave a smaller one behind, which goes later.
        self.gone_at = max((event.t for event in new.of("kernel")), default=self.gone_at)
        return new

    def seen(self) -> Timeline:
        """Return everything that is kept."""
        return Timeline(tuple(self._samples), tuple(self._events))

    def forget_samples(self) -> None:
        """Drop the samples, and keep none from now on."""
        self._keeps_samples = False
        self._samples.clear()


def _over_at(new: Timeline) -> float | None:
    ended = [sample.t for sample in new.samples if sample.state in ENDED_STATES][:1]
    told = [event.t for event in (*new.of("kernel"), *new.of("client", "close_received"), *new.of("target", "exited"))]
    return min([*ended, *told], default=None)
