"""Experiments: selectors are trained, their students scored, and the results written down and reported."""
