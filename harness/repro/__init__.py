"""Run a scenario until the session wedges, and hold it there for inspection."""
