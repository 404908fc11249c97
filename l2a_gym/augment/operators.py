"""What makes each operator; a new one is a class as in ``operator.py``, a maker here and a line in ``OPERATORS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from l2a_gym.augment.config import OPERATORS, PoolConfig
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


Maker = Callable[[str, Tools], Operator]
"""From an operator's name and its tools to the operator."""


def lexical(name: str, tools: Tools) -> Operator:
    """Edits of words."""
    return Lexical(EDITS[name], tools.vectors, tools.config.share)


def mix(name: str, tools: Tools) -> Operator:
    """Mixtures of two texts."""
    return Mix(tools.vectors, tools.config.share)


def mlm_target(name: str, tools: Tools) -> Operator:
    """Texts of the masked language model from the shots."""
    return MaskedWalk(tools.masked_lm, tools.config.chain, tools.max_length, tools.parts / name)


def mlm_source(name: str, tools: Tools) -> Operator:
    """The same from source texts."""
    return MaskedWalk(tools.masked_lm, tools.config.chain, tools.max_length, tools.parts / name, start="sources")


def make_operators(tools: Tools) -> dict[str, Operator]:
    """The operators that the pool's configuration names.

    Raises:
        UserError: a name is taken twice, or the package that adds it can't be imported.
    """
    makers: dict[str, Maker] = {name: OPERATORS[name] for name in tools.config.copies}
    return {name: make(name, tools) for name, make in makers.items()}
