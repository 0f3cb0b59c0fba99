"""report.html: the result of each run for viewing: verdicts, words, and drawn timelines."""
