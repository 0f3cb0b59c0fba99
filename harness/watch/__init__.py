"""The watchdog's eye as a tool: what the kernel shows of a running server's sessions, whoever wrote it. No lab."""
