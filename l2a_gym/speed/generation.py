"""Texts from the generator in batches against one text at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.augment.chain import Sites
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.masked_lm import MaskedLM, generate
from l2a_gym.augment.settings import ChainConfig, MaskedTraining
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.speed.clock import Figures, interleave
from l2a_gym.tasks.task import Task

BATCH, TOGETHER, ALONE = 64, 512, 16
"""Walks in a batch; walks that are timed in batches, and one at a time."""
SHORT = replace(ChainConfig(), burn_in=ChainConfig.thinning, keep=1)
"""A walk with one text, which costs what a further one of a longer walk does."""


class Plain(MaskedLM):
    """The same model, asked as ``transformers`` gives it: in float32, for the logits of all positions.

    Args:
        lm: whose model it is.
    """

    def __init__(self, lm: MaskedLM) -> None:
        self.__dict__.update(lm.__dict__)

    def logits(self, tokens: Tokens, sites: Sites, label: Tensor | None = None) -> Tensor:
        """Logits (n, V) at n sites of the texts."""
        logits: Tensor = self.model(**self.inputs(tokens, label)).logits[sites]
        return logits


def generation(task: Task, checkpoint: str, training: MaskedTraining, device: torch.device, repeats: int) -> Figures:
    """Generating in batches against one text at a time: the same model, starts, chain and random streams.

    The starts are the target's shots. One text at a time is sampled twice: with the model's plain forward pass, and
    with the sampler's own, which asks for the masked positions alone and in the fastest precision. The first run on a
    task trains its masked language model, untimed.

    Returns:
        ``generated_texts_per_second`` (in batches), ``generate_ratio`` (of that speed to the plain one's) and
        ``generate_ratio_own`` (to the sampler's own), medians.
    """
    lm = masked_lm_of(task, checkpoint, training, 0, device)
    few, many = (
        (encode(lm.tokenizer, texts, task.max_length).to(device), torch.from_numpy(texts.label).to(device))
        for texts in (task.train.take(np.arange(n) % len(task.train)) for n in (ALONE, TOGETHER))
    )
    calls = [
        partial(sample, lm, *many, seed=0, batch=BATCH),
        partial(sample, Plain(lm), *few, seed=0, batch=1),
        partial(sample, lm, *few, seed=0, batch=1),
    ]
    seconds = interleave(calls, repeats, device, name="generation") / [TOGETHER, ALONE, ALONE]
    batched, plain, own = seconds.T
    return {
        "generated_texts_per_second": float(np.median(1 / batched)),
        "generate_ratio": float(np.median(plain / batched)),
        "generate_ratio_own": float(np.median(own / batched)),
    }


def sample(lm: MaskedLM, starts: Tokens, label: Tensor, seed: int, batch: int) -> NDArray[np.int64]:
    """A text of a short walk from each start, ids (n, L); ``label`` (n,) is for a model that sees it."""
    made = np.empty(starts.ids.shape, dtype=np.int64)
    for rows, ids in generate(lm, starts, SHORT, seed, label=label, batch=batch):
        made[rows] = ids[:, 0]
    return made
