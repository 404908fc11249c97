"""The masked language model of a task: trained once, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from l2a_gym.augment.masked_lm import MaskedLM, masked_perplexity, train_masked_lm
from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.cache import cache_dir, damaged, locked, write_folder, write_text
from l2a_gym.distill.checkpoint import local_files
from l2a_gym.distill.encode import Tokens, count_pieces, encode
from l2a_gym.tasks.task import Task, Texts, unlabelled_texts

log = logging.getLogger(__name__)

FORMAT = 2
"""Rises whenever the same texts and settings give another model or other walks."""


def masked_lm_of(task: Task, checkpoint: str, config: MaskedTraining, seed: int, device: torch.device) -> MaskedLM:
    """The masked language model of a task, from the cache or trained now.

    It learns from the texts of the sources, of train and of dev and from those without labels, then from the target's
    alone. A model that sees labels learns from the sources and train. A checkpoint's own head is only adapted to the
    target.

    Raises:
        UserError: the checkpoint can't be had, or has no masked-LM head of a known kind.
    """
    target = [task.train] if config.conditional else [task.train, task.dev, *unlabelled_texts(task)]
    folder = cache_dir() / "masked-lm" / _key([*task.sources.values(), *target], task, checkpoint, config, seed)
    with locked(folder):
        if damaged(folder, folder.name):
            if folder.exists():
                log.warning("%s is damaged: training it again", folder)
            log.info("  training the masked language model in %s", folder)
            fill = partial(_train, task, target, checkpoint, config, seed, device)
            write_folder(folder, fill, folder.name)
    return MaskedLM(str(folder), seed).to(device)


def _key(parts: list[Texts], task: Task, checkpoint: str, config: MaskedTraining, seed: int) -> str:
    digest = hashlib.sha256(json.dumps([FORMAT, checkpoint, asdict(config), seed, task.max_length]).encode())
    for texts in parts:
        labels = texts.label.tolist() if config.conditional else None
        digest.update(json.dumps([texts.text, texts.pair, labels]).encode())
    digest.update("".join(local_files(checkpoint)).encode())
    return digest.hexdigest()[:16]


def _train(
    task: Task,
    target: list[Texts],
    checkpoint: str,
    config: MaskedTraining,
    seed: int,
    device: torch.device,
    folder: Path,
) -> None:
    texts = [*task.sources.values(), *target]
    lm = MaskedLM(checkpoint, seed, len(task.labels) if config.conditional else 0)
    lm.trim(np.sum([count_pieces(lm.tokenizer, part, task.max_length) for part in texts], axis=0))
    lm.to(device)

    def tokens(parts: list[Texts]) -> tuple[Tokens, torch.Tensor | None]:
        label = torch.cat([torch.from_numpy(part.label) for part in parts]).to(device)
        encoded = Tokens.cat([encode(lm.tokenizer, part, task.max_length) for part in parts])
        return encoded.to(device), label if config.conditional else None

    every, near = tokens(texts), tokens(target)
    perplexity = {"before": masked_perplexity(lm, near[0], seed, label=near[1])}
    if not lm.has_head:
        lm.expect(every[0].ids[lm.free(every[0])])
        train_masked_lm(lm, every[0], config.updates, config.learning_rate, config, seed, every[1])
        perplexity["trained"] = masked_perplexity(lm, near[0], seed, label=near[1])
    if config.adapt_updates:
        train_masked_lm(lm, near[0], config.adapt_updates, config.adapt_rate, config, seed, near[1])
    perplexity["adapted"] = masked_perplexity(lm, near[0], seed, label=near[1])
    lm.model.save_pretrained(folder, safe_serialization=True)
    lm.tokenizer.save_pretrained(folder)
    write_text(folder / "training.json", json.dumps({"config": asdict(config), "target_perplexity": perplexity}))
