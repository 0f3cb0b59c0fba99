"""Values that the rest works on: timelines, evidence in them, links, expressions. No clock and no network."""
