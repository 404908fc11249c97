"""Names and texts in sentences: they come from files, folders and command lines, and may hold anything."""

from __future__ import annotations

import re

# Control characters, line and paragraph separators, marks that turn the direction of writing, halves of characters.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that no name may have, because a terminal or a page obeys them instead of showing them."""


def printable(text: object) -> str:
    r"""The text on one line: an escape code from a data file, say, reads ``\x1b`` instead of colouring the terminal."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def plain(text: str) -> str:
    """Text on one line whose characters mean nothing to Markdown, HTML or a terminal."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", printable(" ".join(text.split())))


def shortened(text: str, length: int) -> str:
    """Its first characters and an ellipsis, where it has more than ``length``."""
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"
