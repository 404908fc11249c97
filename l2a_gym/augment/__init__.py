"""Candidates: source texts as they are, and edited copies of the target's shots."""
