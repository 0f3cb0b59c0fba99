"""A certificate for a server of the lab, and its certificate authority, which exists as long as it does."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files in PEM (RFC 7468)."""

    authority: Path
    """Authority for clients to trust."""
    chain: Path
    key: Path


@contextlib.contextmanager
def certified(ip: str) -> Iterator[Certificate]:
    """Certify ``ip``; the files, which only this user can read, are deleted when the context is left."""
    import trustme  # noqa: PLC0415 (a tenth of what a run imports, for the few servers that speak TLS)

    with tempfile.TemporaryDirectory(prefix="halfopen-tls-") as folder:
        made = Certificate(*(Path(folder, name) for name in ("authority.pem", "chain.pem", "key.pem")))
        authority = trustme.CA()
        issued = authority.issue_cert(ip)
        authority.cert_pem.write_to_path(str(made.authority))
        issued.private_key_pem.write_to_path(str(made.key))
        for certificate in issued.cert_chain_pems:
            certificate.write_to_path(str(made.chain), append=True)
        yield made
