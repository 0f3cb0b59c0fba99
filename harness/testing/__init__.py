"""Implementation of the pytest plugin, imported only by a test run that asks for a lab, a suite or another clock."""
