"""The user's TOML: scenarios, suites, links and targets, checked and turned into values."""
