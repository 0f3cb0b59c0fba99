"""Values used by everything else: timelines, evidence in them, links, expressions. No clock and no network."""
