"""When two texts are the same: a normal form that keeps no more of a text than a BERT tokenizer does."""

from __future__ import annotations

import unicodedata
from functools import cache

_BLANK = frozenset("\u115f\u1160\u2800\ufffd")
"""Letters and symbols that show nothing, and the mark of bytes that could not be decoded, which tokenizers drop."""


def normal_form(text: str) -> str:
    """The visible characters of a text, without case, accents and spacing; empty where nothing is visible.

    Texts that an uncased BERT tokenizer reads alike have the same form: composed or decomposed characters, zero-width
    and control characters, and any space.
    """
    return "".join(map(_visible, text))


@cache
def _visible(character: str) -> str:
    kept = [each for each in unicodedata.normalize("NFKD", character) if not _is_invisible(each)]
    return "".join(kept).casefold()


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "CZ" or category == "Mn" or character in _BLANK  # controls, spaces, combining marks
