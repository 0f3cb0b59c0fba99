"""The scenarios that come with the project: a suite is a folder, a scenario is a file in it. Data, no code."""
