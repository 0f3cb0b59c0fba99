"""``halfopen grace``: draw sessions by a seed, try each with every grace, and recommend one."""
