"""The stages ``pool`` and ``tokens``: the candidates, and all texts as a student reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from l2a_gym.augment import generator
from l2a_gym.augment.operators import Tools, make_operators
from l2a_gym.augment.pool import make_pool
from l2a_gym.augment.words import WordVectors
from l2a_gym.cache import write_text
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import Tokens, count_pieces, encode, trim_vocabulary, whole_words
from l2a_gym.distill.student import (
    vocabulary_limit,
)
from l2a_gym.distill.teacher import embedding_table
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import read_candidates
from l2a_gym.preparation.texts import save_arrays, splits
from l2a_gym.tasks.task import Task, Texts

TARGET_PIECES = 10
"""How often a piece of train and dev counts against one of the pool, where a student has no room for all."""


def write_pool(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The candidates, with where each comes from."""
    walks = folder.parent / "walks"  # an interrupted generation goes on from there
    tools = Tools(
        config.pool,
        task.max_length,
        parts=walks,
        load_vectors=partial(_word_vectors, task, config),
        load_masked_lm=partial(
            generator.masked_lm_of, task, config.checkpoint, config.pool.masked_lm, config.seed, device
        ),
    )
    pool = make_pool(task, config.pool, make_operators(tools), config.seed, config.pool.preferred())
    columns = {name: getattr(pool, name) for name in ("domain", "operator", "parent", "edit_share", "flipped")}
    pair = {} if pool.texts.pair is None else {"pair": pool.texts.pair}
    Dataset.from_dict({"text": pool.texts.text, **pair, "label": pool.texts.label, **columns}).save_to_disk(str(folder))
    shutil.rmtree(walks, ignore_errors=True)


def _word_vectors(task: Task, config: Preparation) -> WordVectors:
    row = whole_words(load_tokenizer(config.checkpoint))
    table = embedding_table(load_teacher(config.checkpoint, len(task.labels), config.seed))
    return WordVectors(list(row), table[list(row.values())].numpy())


def write_tokens(task: Task, config: Preparation, folder: Path) -> None:
    """All texts in the pieces of those that may be seen: what others alone have is cut into smaller ones."""
    parts = {"pool": read_candidates(folder.parent / "pool"), **splits(task)}
    full = load_tokenizer(config.checkpoint)
    count = seen_pieces(full, parts, task.max_length)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    limit = vocabulary_limit(config.student, teacher, len(task.labels), task.max_length)
    tokenizer, kept = trim_vocabulary(full, count, limit)
    tokens = Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts.values()])
    ids = tokens.ids.numpy().astype(np.uint16 if len(kept) <= 2**16 else np.uint32)
    label = np.concatenate([texts.label for texts in parts.values()])
    save_arrays(folder, ids=ids, length=tokens.length.numpy(), first=tokens.first.numpy(), label=label, kept=kept)
    layout = {"rows": {name: len(texts) for name, texts in parts.items()}, "pad": tokens.pad}
    write_text(folder / "layout.json", json.dumps(layout))
    tokenizer.save_pretrained(folder)


def seen_pieces(tokenizer: PreTrainedTokenizerFast, parts: Mapping[str, Texts], max_length: int) -> NDArray[np.int64]:
    """How often pool, train and dev use each id (V,); what the target uses counts :data:`TARGET_PIECES` times."""
    weight = {"pool": 1, "train": TARGET_PIECES, "dev": TARGET_PIECES}
    count: NDArray[np.int64] = np.sum(
        [times * count_pieces(tokenizer, parts[name], max_length) for name, times in weight.items()], axis=0
    )
    return count
