"""Preparing a task, stage by stage, against the number of its candidates."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from transformers import AutoConfig, AutoModel

from l2a_gym.distill.checkpoint import load_checkpoint, load_teacher, load_tokenizer
from l2a_gym.distill.encode import encode, whole_words
from l2a_gym.distill.teacher import predict
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.progress import progress_bar
from l2a_gym.speed.clock import Figures, time_of
from l2a_gym.tasks.task import Texts

TARGET = 1200
"""Texts of the target."""
ASKED = 1024
"""Texts that the whole teacher is timed with."""
STEPS = 9
"""Timed steps of an episode on the prepared task."""
AT_ONCE = 10_000
"""Texts that are made at a time."""


def preparation(checkpoint: str, student: str, sizes: Sequence[int], device: torch.device) -> Figures:
    """Prepare a made-up task of each size, in a process and a cache of its own, and take some steps in it.

    Its teacher has the checkpoint's width, but one layer of random weights: more layers take more time, and no more of
    the memory that grows with the pool.

    Returns:
        ``prepare``: number of candidates -> stage -> texts/s (of the first, with the reading of the task), ``peak_mib``
        of the process, and ``step_seconds``;
        ``teacher_texts_per_second`` that the whole checkpoint labels.
    """
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        teacher = _shallow(checkpoint, Path(folder) / "teacher")
        for size in progress_bar(sizes, desc="preparing", leave=False):
            task = _write_task(Path(folder) / str(size), checkpoint, size)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                figures[str(size)] = alone.submit(_measure, task, teacher, student, str(device)).result()
    return {"prepare": figures, "teacher_texts_per_second": _labelled_per_second(checkpoint, device)}


def _shallow(checkpoint: str, folder: Path) -> str:
    """A checkpoint with one layer of random weights and the tokenizer of ``checkpoint``."""
    config = load_checkpoint(AutoConfig, checkpoint, num_hidden_layers=1)
    AutoModel.from_config(config).save_pretrained(folder)
    load_tokenizer(checkpoint).save_pretrained(folder)
    return str(folder)


def _texts(checkpoint: str, number: int) -> Iterator[str]:
    """Texts of 6 to 14 of the vocabulary's words, the r-th word about 1 / r as often as the first."""
    words, random = np.array(list(whole_words(load_tokenizer(checkpoint)))), np.random.default_rng(0)
    odds = 1 / np.arange(1, len(words) + 1)
    for start in range(0, number, AT_ONCE):
        lengths = random.integers(6, 15, min(AT_ONCE, number - start))
        drawn = words[random.choice(len(words), size=lengths.sum(), p=odds / odds.sum())]
        yield from (" ".join(part) for part in np.split(drawn, lengths.cumsum()[:-1]))


def _write_task(folder: Path, checkpoint: str, size: int) -> Path:
    """A task file with a source of ``size`` texts, and its data."""
    folder.mkdir()
    texts = _texts(checkpoint, TARGET + size)
    for domain, number in (("target", TARGET), ("source", size)):
        with (folder / f"{domain}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps({"text": text, "label": "ab"[i % 2]}) + "\n"
                for i, text in zip(range(number), texts, strict=False)
            )
    task = folder / "task.toml"
    task.write_text(
        f'target = "target"\nshots = 64\nsource_limit = {size}\nmax_length = 48\n'
        '[domains]\ntarget = "target.jsonl"\nsource = "source.jsonl"\n',
        encoding="utf-8",
    )
    return task


def _measure(task: Path, checkpoint: str, student: str, device: str) -> Figures:
    """Prepare a task in this process, whose peak memory is then that of the preparation and an episode."""
    os.environ["L2A_CACHE"] = str(task.parent / "cache")
    env = gym.make(
        "l2a_gym:L2A-Distill-v0", task=str(task), pool="sources", checkpoint=checkpoint, student=student, device=device
    )
    start = time.time()
    env.reset(seed=0)
    assert isinstance(env.unwrapped, DistillAugEnv)
    step = partial(env.step, np.ones(env.action_space.shape or (), dtype=np.float32))
    seconds = [time_of(step, torch.device(device)) for _ in range(STEPS)]
    prepared = env.unwrapped.world.prepared
    names, candidates = list(prepared.manifest()["stages"]), prepared.rows["pool"].stop
    ends = [
        (prepared.folder / name).stat().st_ctime for name in names
    ]  # a stage's folder gets its name when it is done
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return {
        **dict(zip(names, (candidates / np.diff([start, *ends])).tolist(), strict=True)),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
        "step_seconds": float(np.median(seconds)),
    }


def _labelled_per_second(checkpoint: str, device: torch.device) -> float:
    model = torch.nn.Module.to(load_teacher(checkpoint, 2, 0), device)
    texts = Texts(tuple(_texts(checkpoint, ASKED)), np.zeros(ASKED, dtype=np.int64))
    tokens = encode(load_tokenizer(checkpoint), texts, 48).to(device)
    predict(model, tokens)
    return ASKED / time_of(partial(predict, model, tokens), device)
