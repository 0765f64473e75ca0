"""Search: the best point of a space of architectures for a task, under one budget."""
