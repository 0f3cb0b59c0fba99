"""A server's own list of sessions, in any form. Pure: JSON answer in, sessions out."""

from __future__ import annotations

from typing import Any

from halfopen.netns.sockets import Address
from halfopen.scenario.target_spec import TargetSpec
from halfopen.targets.base import Caller


class NoListError(ValueError):
    """The server's answer is no list of sessions; the message describes it."""


def sessions(answer: Any, spec: TargetSpec) -> list[Any]:
    """Return the list in a server's answer; raises NoListError if there is none."""
    where = f"GET {spec.sessions}" + (f" at {spec.sessions_pointer!r}" if spec.sessions_pointer else "")
    try:
        found = point(answer, spec.sessions_pointer)
    except LookupError as error:
        raise NoListError(f"{where}: there is no {error.args[0]!r} in the answer") from None
    if not isinstance(found, list):
        raise NoListError(f"{where} is no JSON array but {type(found).__name__}")
    if spec.sessions_field is not None and found and not any(_has(session, spec.sessions_field) for session in found):
        raise NoListError(f"{where}: no session in it has the field {spec.sessions_field!r} (--sessions-field)")
    return found


def _pointer(field: str) -> str:
    return field if field.startswith("/") else f"/{field}"


def _has(session: Any, field: str) -> bool:
    try:
        point(session, _pointer(field))
    except LookupError:
        return False
    return True


def point(value: Any, pointer: str) -> Any:
    """Return the target of a JSON Pointer (RFC 6901); raises LookupError with the part that is not found."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (LookupError, TypeError, ValueError):
            raise LookupError(key) from None
    return value


def lists(found: list[Any], field: str | None, caller: Caller) -> bool:
    """True if one of the sessions is this client's: its address is in ``field``. If that is None, any session is."""
    if field is None:
        return bool(found)
    return any(_is_of(session, _pointer(field), caller) for session in found)


def _is_of(session: Any, pointer: str, caller: Caller) -> bool:
    try:
        value = point(session, pointer)
    except LookupError:
        return False
    return any(
        value in _spellings(address) or _begins_with(value, address) or _at_any_port(value, address)
        for address in caller.addresses
    )


def _spellings(address: Address) -> tuple[object, ...]:
    """Return the forms in which servers write a peer: its address, its port, or both."""
    if not address.port:
        return (address.ip,)
    return (str(address), address.ip, address.port, str(address.port))


def _at_any_port(value: Any, address: Address) -> bool:
    """True for the address of a proxy, which connects from any port, followed by a port."""
    return not address.port and isinstance(value, str) and value.rpartition(":")[0].strip("[]") == address.ip


def _begins_with(value: Any, address: Address) -> bool:
    """True for a list of address and port, as in most languages' libraries (getpeername(2))."""
    if not isinstance(value, list) or not value or value[0] != address.ip:
        return False
    return not address.port or len(value) < 2 or value[1] in (address.port, str(address.port))
