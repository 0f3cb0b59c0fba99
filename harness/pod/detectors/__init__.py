"""Detectors of dead clients: one a file, chosen by name.

A detector's module has these names:

``SUMMARY``
    its test in one line.
``create(settings)``
    makes a :class:`halfopen.pod.detectors._seam.Detector` from :class:`halfopen.pod.detectors._seam.Settings`.

It may have more. The kernel's counters show the verdicts of some detectors from outside the server. Such a detector has
one of the first two, and ``halfopen watch`` forecasts its verdicts:

``RULE``
    the class of its watchdog's rule (:class:`halfopen.pod.watchdog.WatchdogRule`), made from the time alone.
``forecast(session, grace, poll)``
    its :class:`halfopen.pod.forecast.Forecast` on a :class:`halfopen.pod.forecast.ObservedSession`, or None if the
    kernel does not show it; for a detector without such a rule.
``IS_REPLAYABLE = True``
    ``RULE`` depends on nothing but the bytes acknowledged until a moment, so that ``halfopen grace`` can replay it.
``OWN_TIMES = True``
    it has times of its own, whatever the grace.
``IS_BASELINE = True``
    it ends no session.
``NOT_ON_ASYNCIO``
    the reason, in one sentence, why it cannot exist in a pod on ``websockets.asyncio``.
"""

from types import ModuleType

from halfopen.errors import InputError

NOUN = "detector"
NEEDS = ("create",)


def hindrance(module: ModuleType, api: str) -> str | None:
    """Return the reason why a detector cannot exist in a pod of this API; None if it can."""
    return getattr(module, "NOT_ON_ASYNCIO", None) if api == "asyncio" else None


def require_api(module: ModuleType, name: str, api: str) -> None:
    """Refuse a detector that cannot exist in a pod of this API; raises InputError."""
    if (reason := hindrance(module, api)) is not None:
        raise InputError(f"--detector {name}: {reason}; choose another, or leave out --pod-api asyncio")
