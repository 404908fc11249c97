"""Text of others inside of Markdown."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Text on one line whose characters mean nothing to Markdown, HTML or a terminal."""
    seen = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", seen)
