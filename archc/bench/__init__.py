"""Bench: what an architecture is worth on a task, what it costs, and whether it beats another one."""
