"""References: what a person would try first on a task, on the very splits of its teachers and students."""
