"""Speed, measured in one interleaved run: ratios hold where the machine's speed drifts."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import trange

from l2a_gym.augment.chain import ChainConfig, Sites
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.masked_lm import MaskedLM, MaskedTraining, generate
from l2a_gym.benchmark.run import ENVIRONMENT
from l2a_gym.cache import write_text
from l2a_gym.distill.device import resolve_device
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.teacher import EMBEDDED
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.reward import score
from l2a_gym.errors import UserError
from l2a_gym.tasks.registry import make_task

BATCH, TOGETHER, ALONE = 64, 512, 16
"""Walks in a batch; walks that are timed in batches, and one at a time."""
SHORT = replace(ChainConfig(), burn_in=ChainConfig.thinning, keep=1)
"""A walk with one text, which costs what a further one of a longer walk does."""


def step(task: str, device: str, repeats: int, file: Path | None) -> dict[str, Any]:
    """An environment step against its bare student updates and dev pass on the same tensors, without environment.

    Both start from the same state of the same student; their order alternates.

    Args:
        task: a task id or the path of a task file.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed pairs.
        file: where the figures go as JSON, keys ``env_step_ratio``, ``env_step_seconds``, ``bare_seconds`` and
            ``machine``.

    Returns:
        The figures: medians, and the median of the paired ratios.

    Raises:
        UserError: no repeats, or the task or device can't be had.
    """
    _check(repeats)
    env = gym.make(ENVIRONMENT, task=task, device=device, steps=10**9, disable_env_checker=True).unwrapped
    assert isinstance(env, DistillAugEnv)
    env.reset(seed=0)
    action = np.ones(env.action_space.shape, dtype=np.float32)
    weights = torch.ones(env.candidates, device=env.distiller.device)

    distiller, dev = env.distiller, env.world.dev

    def bare(rows: Tensor, anchors: Tensor) -> None:
        distiller.step(rows[None], weights[None], anchors[None], env.updates, [1.0])
        score(distiller.outputs(dev.tokens)[0].logits, dev.label)

    pairs = []
    for repeat in trange(repeats + 2, desc="timing", leave=False):
        state = env.save_state()
        rows, anchors = (torch.from_numpy(x).to(distiller.device) for x in (state.episode.rows, state.episode.anchors))
        calls: list[Callable[[], object]] = [partial(env.step, action), partial(bare, rows, anchors)]
        timed = _alternate(calls, repeat, distiller.device, before=partial(env.restore_state, state))
        pairs.append([seconds for seconds, _ in timed])
    whole, alone = np.array(pairs[2:]).T  # the first two warm up
    figures = {
        "env_step_ratio": float(np.median(whole / alone)),
        "env_step_seconds": float(np.median(whole)),
        "bare_seconds": float(np.median(alone)),
    }
    return _report(figures, distiller.device, file)


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


def generation(
    task: str,
    device: str,
    repeats: int,
    file: Path | None,
    checkpoint: str = EMBEDDED,
    training: MaskedTraining | None = None,
) -> dict[str, Any]:
    """Generating in batches against one text at a time: the same model, starts, chain and random streams.

    The starts are the target's shots. One text at a time is sampled twice: with the model's plain forward pass, and
    with the sampler's own, which asks for the masked positions alone and in the fastest precision. The first run on a
    task trains its masked language model, untimed.

    Args:
        task: a task id or the path of a task file.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed rounds; the order of the three alternates.
        file: where the figures go as JSON: ``generated_texts_per_second`` (in batches), ``generate_ratio`` (of that
            speed to the plain one's), ``generate_ratio_own`` (to the sampler's own) and ``machine``.
        checkpoint: the teacher's.
        training: how its masked language model is trained; None as in the pool.

    Returns:
        The figures: medians.

    Raises:
        UserError: no repeats, or the task, checkpoint or device can't be had.
    """
    _check(repeats)
    made, where = make_task(task), resolve_device(device)
    lm = masked_lm_of(made, checkpoint, training or MaskedTraining(), 0, where)
    few, many = (
        (encode(lm.tokenizer, texts, made.max_length).to(where), torch.from_numpy(texts.label).to(where))
        for texts in (made.train.take(np.arange(n) % len(made.train)) for n in (ALONE, TOGETHER))
    )
    calls = {
        "batched": partial(sample, lm, *many, seed=0, batch=BATCH),
        "plain": partial(sample, Plain(lm), *few, seed=0, batch=1),
        "own": partial(sample, lm, *few, seed=0, batch=1),
    }
    rounds = []
    for repeat in trange(repeats + 1, desc="timing", leave=False):
        timed = _alternate(list(calls.values()), repeat, where)
        rounds.append([seconds / len(texts) for seconds, texts in timed])
    batched, plain, own = np.array(rounds[1:]).T  # the first warms up
    figures = {
        "generated_texts_per_second": float(np.median(1 / batched)),
        "generate_ratio": float(np.median(plain / batched)),
        "generate_ratio_own": float(np.median(own / batched)),
    }
    return _report(figures, where, file)


def sample(lm: MaskedLM, starts: Tokens, label: Tensor, seed: int, batch: int) -> NDArray[np.int64]:
    """A text of a short walk from each start, ids (n, L); ``label`` (n,) is for a model that sees it."""
    made = np.empty(starts.ids.shape, dtype=np.int64)
    for rows, ids in generate(lm, starts, SHORT, seed, label=label, batch=batch):
        made[rows] = ids[:, 0]
    return made


def _check(repeats: int) -> None:
    if repeats < 1:
        raise UserError(f"repeats = {repeats}: valid are whole numbers from 1")


def _alternate(
    calls: Sequence[Callable[[], Any]], turn: int, device: torch.device, before: Callable[[], object] = lambda: None
) -> list[tuple[float, Any]]:
    """Seconds and result of each call, in the order given; they run backwards in odd turns, each after ``before``."""
    timed = []
    for call in calls[:: -1 if turn % 2 else 1]:
        before()
        timed.append(_seconds(call, device))
    return timed[:: -1 if turn % 2 else 1]


def _seconds(call: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    result = call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start, result


def _report(figures: dict[str, float], device: torch.device, file: Path | None) -> dict[str, Any]:
    """Print the figures and what they were measured on, and write them."""
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    machine = f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    width = max(map(len, figures)) + 2
    for name, value in figures.items():
        print(f"{name:{width}}{value:.4f}")
    print(f"{'machine':{width}}{machine}")
    reported: dict[str, Any] = {**figures, "machine": machine}
    if file:
        write_text(file, json.dumps(reported, indent=1))
    return reported
