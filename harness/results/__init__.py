"""A run as files and as words: results.json, JUnit, the story of a run, comparisons, baselines, GitHub."""
