"""Names in sentences: they come from files and folders, and may hold anything."""

from __future__ import annotations


def printable(text: object) -> str:
    """Text on one line whose line breaks, terminal escapes and other unprintable characters are written as codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
