"""Which grace? Sessions drawn by a seed, tried with every grace, and what that says of each: ``halfopen grace``."""
