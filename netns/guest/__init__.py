"""A Linux kernel of our own as one unprivileged program (User-Mode Linux): built, cached, and booted for a command.

On its virtual clock idle time costs nothing: when nothing is runnable, the clock jumps to the next timer
(Documentation/virt/uml, time-travel=inf-cpu).
"""
