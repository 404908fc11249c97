"""Training runs, their evaluation and their reports."""
