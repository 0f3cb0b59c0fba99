"""What a user writes: scenarios, suites, links and targets as TOML, checked and turned into values."""
