"""Texts that occur twice: only the first is kept."""

from __future__ import annotations

from collections.abc import Mapping

from l2a_gym.tasks.normal import normal_form
from l2a_gym.tasks.task import UNLABELLED, Found, Texts


def deduplicate(parts: Mapping[str, Texts]) -> tuple[dict[str, Texts], dict[str, Found]]:
    """Drop every text that was seen before, in the same part or in an earlier one.

    Two texts are the same when they have the same :func:`normal_form` (for pairs: both sides).

    Args:
        parts: name -> texts, in the order in which they are looked through.

    Returns:
        What is left of each part, and what each held before.
    """
    seen: dict[tuple[str, ...], int] = {}
    unique, found = {}, {}
    for name, texts in parts.items():
        keep, contradicting = [], []
        for row, sides in enumerate(zip(texts.text, texts.pair or texts.text, strict=True)):
            key = tuple(map(normal_form, sides))
            if key not in seen:
                seen[key] = texts.label[row]
                keep.append(row)
            elif UNLABELLED not in (seen[key], texts.label[row]) and seen[key] != texts.label[row]:
                contradicting.append(texts.text[row])
        unique[name] = texts.take(keep)
        found[name] = Found(texts.label, len(texts) - len(keep), tuple(contradicting))
    return unique, found
