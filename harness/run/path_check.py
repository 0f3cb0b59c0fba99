"""Try the path of a client that has nothing to read: a packet each way, beside the session."""

from __future__ import annotations

from halfopen.faults._scene import Scene
from halfopen.model.journal import Journal

#: Nothing listens on the port for tcpmux (RFC 1078). The server's host answers with a reset, and the server learns
#: nothing.
_PORT = 1
#: Seconds to wait for the answer, and the same in retransmission timeouts of the session, each longer than a round trip
#: (RFC 6298).
_WITHIN, _TIMEOUTS = 1.0, 3
#: Seconds without a packet from the client before its session counts as quiet.
_QUIET = 1.0


def check_path(scene: Scene, journal: Journal, ip: str) -> None:
    """Note if packets travel between the client's host and ``ip``, unless the session itself shows it."""
    last = journal.last_sample()
    info = last.info if last is not None else None
    if last is not None and info is not None and _is_lively(last.outq, min(info.last_ack_recv, info.last_data_recv)):
        return
    within = max(_WITHIN, _TIMEOUTS * info.rto / 1e6 if info is not None else 0.0)
    try:
        scene.client_host.connect((ip, _PORT), within).close()
        carries = True
    except OSError as error:
        carries = isinstance(error, ConnectionRefusedError)
    journal.note("lab", "path", carries=carries, within=within)


def _is_lively(outq: int, unheard: int) -> bool:
    return outq > 0 or unheard < _QUIET * 1000
