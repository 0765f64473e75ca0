"""Report: one HTML file on what happened, with all that it needs within it."""
