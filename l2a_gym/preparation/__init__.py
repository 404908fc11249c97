"""What a task is made into once: pool, tokens, teachers and the student's start, kept in a folder."""
