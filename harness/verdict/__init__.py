"""From a timeline to a verdict. Pure."""
