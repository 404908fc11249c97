"""Tokens, teachers, students and the inner step."""
