"""From an operator's name to the operator; a new one is a class as in ``operator.py`` and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.lexical import EDITS, Lexical
from l2a_gym.augment.masked_lm import MaskedLM
from l2a_gym.augment.mix import Mix
from l2a_gym.augment.operator import Operator
from l2a_gym.augment.walk import MaskedWalk
from l2a_gym.augment.words import WordVectors


@dataclass
class Tools:
    """What operators are made of; models are loaded when the first operator asks for them.

    Attributes:
        config: the pool's.
        max_length: texts are cut at this many tokens.
        parts: a folder for what is done of long work.
        load_vectors: word vectors.
        load_masked_lm: the masked language model.
    """

    config: PoolConfig
    max_length: int
    parts: Path
    load_vectors: Callable[[], WordVectors]
    load_masked_lm: Callable[[], MaskedLM]

    @cached_property
    def vectors(self) -> WordVectors:
        """Word vectors."""
        return self.load_vectors()

    @cached_property
    def masked_lm(self) -> MaskedLM:
        """The masked language model."""
        return self.load_masked_lm()


def _lexical(name: str, tools: Tools) -> Operator:
    return Lexical(EDITS[name], tools.vectors, tools.config.share)


def _mix(name: str, tools: Tools) -> Operator:
    return Mix(tools.vectors, tools.config.share)


def _masked_walk(name: str, tools: Tools) -> Operator:
    return MaskedWalk(tools.masked_lm, tools.config.chain, tools.max_length, tools.parts / name)


MAKERS: dict[str, Callable[[str, Tools], Operator]] = {
    **dict.fromkeys(EDITS, _lexical),
    "mix": _mix,
    "mlm-target": _masked_walk,
    "mlm-source": _masked_walk,
}
"""Name -> what makes the operator."""


def make_operators(tools: Tools) -> dict[str, Operator]:
    """The operators that the pool's configuration names."""
    return {name: MAKERS[name](name, tools) for name in tools.config.copies}
