"""The L2A generator as an operator: from each text, a masked language model walks to others near the target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from l2a_gym.augment.masked_lm import MaskedLM, generate
from l2a_gym.augment.operator import Sides, Start, sides_of
from l2a_gym.augment.settings import ChainConfig
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.tasks.task import Texts


class MaskedWalk:
    """An operator that walks with a masked language model.

    Args:
        lm: the model, on its device.
        config: how to walk.
        max_length: texts are cut at this many tokens.
        parts: a folder for the walks that are done: an interrupted operator goes on from there.
        start: the texts that it starts from.
    """

    def __init__(self, lm: MaskedLM, config: ChainConfig, max_length: int, parts: Path, start: Start = "shots") -> None:
        self.lm, self.config, self.max_length, self.parts, self.start = lm, config, max_length, parts, start

    def __call__(self, texts: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
        """The texts that are kept: up to ``keep`` of a walk, in the order of ``rows``."""
        begin, number = _walks(rows, self.config.keep)
        config = replace(self.config, keep=int(number.max(initial=1)))  # nothing is walked for texts that nobody wants
        starts = texts.take(rows[begin])
        tokens = encode(self.lm.tokenizer, starts, self.max_length)
        device = self.lm.special.device
        label = torch.from_numpy(starts.label).to(device)
        seed = int(rng.integers(2**31))
        given = sides_of(starts)
        made: list[list[Sides]] = [[] for _ in begin]
        for walks, kept in generate(self.lm, tokens.to(device), config, seed, label=label, parts=self.parts):
            for walk, ids in zip(walks.tolist(), kept, strict=True):
                start = tokens.take(torch.tensor([walk]))
                made[walk] = [self._read(given[walk], start, each) for each in ids[: number[walk]]]
        return [sides for walk in made for sides in walk]

    def units(self, text: str) -> list[str]:
        """The tokenizer's pieces."""
        return self.lm.tokenizer.tokenize(text, truncation=True, max_length=self.max_length)

    def _read(self, given: Sides, start: Tokens, ids: NDArray[np.int64]) -> Sides:
        """The sides of a text again; one whose tokens are those of the start is left as it was written."""
        first, length = int(start.first), int(start.length)
        before = start.ids[0].numpy()
        spans = [slice(0, first), slice(first, length)][: len(given)]
        decode = self.lm.tokenizer.decode
        return tuple(
            side if (ids[span] == before[span]).all() else str(decode(ids[span], skip_special_tokens=True)).strip()
            for side, span in zip(given, spans, strict=True)
        )


def _walks(rows: NDArray[np.int64], keep: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split sorted rows into walks: where each begins among them, and how many of its texts are wanted."""
    turn = np.arange(len(rows)) - np.searchsorted(rows, rows)
    begin = np.flatnonzero(turn % keep == 0)
    return begin, np.diff(np.append(begin, len(rows)))
