"""Names in sentences: they come from files, folders and command lines, and may hold anything."""

from __future__ import annotations

import re


def printable(text: object) -> str:
    """Text on one line whose line breaks, terminal escapes and other unprintable characters are written as codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def plain(text: str) -> str:
    """Text on one line whose characters mean nothing to Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", printable(" ".join(text.split())))
