"""The watchdog's view of a running server's sessions as a tool, from the kernel, for any server. No lab."""
