"""What makes something else of a trace: one format, one file."""
