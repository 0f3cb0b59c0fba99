"""Decide if a scenario can be asked of a server, from what the server does undisturbed. Pure."""

from __future__ import annotations

from halfopen.model.profile import Profile
from halfopen.netns.units import show_bytes, show_duration
from halfopen.scenario.spec import Scenario

#: Seconds of an undisturbed session that show a server's habits, if it ended the session itself.
_SHORTEST = 10.0


def unmet(scenario: Scenario, profile: Profile) -> str | None:
    """Return the reason why the scenario does not apply to a server with this profile; None if it does."""
    asked, rate = scenario.needs, scenario.least_rate
    if profile.ended_at is not None and profile.observed < _SHORTEST:
        return None  # it shows too little
    if "stream" in asked and not profile.streams:
        pause = show_duration(profile.longest_pause)
        return f"needs a server that streams; this one was silent for {pause} of {show_duration(profile.observed)}"
    if "silence" in asked and profile.streams:
        return f"needs a server that is silent at times; this one streams {show_bytes(round(profile.rate))}/s"
    if rate is not None and profile.rate < rate:
        sent = f"{show_bytes(round(profile.rate))}/s"
        return f"needs a server that sends at least {show_bytes(round(rate))}/s; this one sends {sent}"
    if scenario.longest_pause is not None and profile.longest_pause > scenario.longest_pause:
        most, pause = show_duration(scenario.longest_pause), show_duration(profile.longest_pause)
        return f"needs a server that is silent for at most {most}; this one was for {pause}"
    if scenario.largest_message is not None and profile.largest > scenario.largest_message:
        largest, most = show_bytes(profile.largest), show_bytes(scenario.largest_message)
        return f"needs messages of at most {most}; this server sends some of {largest}"
    return None
