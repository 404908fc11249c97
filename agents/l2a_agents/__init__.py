"""Selectors: agents that choose and weight candidates. They see spaces and numbers and never import ``l2a_gym``."""
