"""How many tokens of a text are read where a task doesn't say it: as many as nearly all of its texts have."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from l2a_gym.distill.checkpoint import load_tokenizer, readable_tokens
from l2a_gym.distill.coverage import coverage
from l2a_gym.tasks.task import Task, Texts

log = logging.getLogger(__name__)

CUT = 0.02
"""The share of the texts that may be cut."""
LENGTHS = range(16, 513, 8)
"""What may be chosen; less where the checkpoint has fewer positions."""
SAMPLE = 4000
"""Of more texts, a random sample of about this size is looked at."""
USUAL = 48
"""The number of tokens that the log compares with."""


def with_length(task: Task, checkpoint: str) -> Task:
    """The task with its own ``max_length``, or else with the smallest that cuts at most :data:`CUT` of its texts.

    The texts are those of the sources, train, dev and select, as the checkpoint's tokenizer reads them.

    Raises:
        UserError: the checkpoint can't be had.
    """
    if task.max_length:
        return task
    read = coverage(load_tokenizer(checkpoint), _sample([*task.sources.values(), task.train, task.dev, task.select]))
    enough = next((length for length in LENGTHS if read.cut(length) <= CUT), LENGTHS[-1])
    chosen = min(enough, readable_tokens(checkpoint) or enough)
    mean, usual = (np.minimum(read.length, length).mean() for length in (chosen, USUAL))
    log.info(
        "max_length = %d by the data (%.0f %% of texts are whole); an update reads %.1f times as many tokens "
        "as at %d, and takes about that much longer",
        *(chosen, 100 * (1 - read.cut(chosen)), mean / usual, USUAL),
    )
    return replace(task, max_length=chosen)


def _sample(parts: Sequence[Texts]) -> list[Texts]:
    """The same share of each part."""
    rng, share = np.random.default_rng(0), min(1, SAMPLE / sum(map(len, parts)))
    return [part.take(rng.permutation(len(part))[: ceil(share * len(part))]) for part in parts]
