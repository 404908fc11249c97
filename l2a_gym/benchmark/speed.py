"""Speed, measured in one interleaved run: ratios hold where the machine's speed drifts."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from l2a_gym.benchmark.run import ENVIRONMENT
from l2a_gym.cache import write_text
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.reward import score


def step(task: str, device: str, repeats: int, file: Path | None) -> dict[str, Any]:
    """An environment step against its bare student updates and dev pass on the same tensors, without environment.

    Both start from the same state of the same student; their order alternates.

    Args:
        task: a task id or the path of a task file.
        device: auto, cpu, cuda or cuda:<i>.
        repeats: timed pairs.
        file: where the figures go as JSON, keys ``env_step_ratio``, ``env_step_seconds`` and ``bare_seconds``.

    Returns:
        The figures: medians, and the median of the paired ratios.
    """
    env = gym.make(ENVIRONMENT, task=task, device=device, steps=10**9, disable_env_checker=True).unwrapped
    assert isinstance(env, DistillAugEnv)
    env.reset(seed=0)
    action = np.ones(env.action_space.shape, dtype=np.float32)
    weights = torch.ones(env.candidates, device=env.distiller.device)

    distiller, dev = env.distiller, env.world.dev

    def bare(rows: Tensor, anchors: Tensor) -> None:
        distiller.step(rows, weights, anchors, env.updates)
        score(distiller.outputs(dev.tokens).logits, dev.label)

    pairs = []
    for repeat in trange(repeats + 2, desc="timing", leave=False):
        state = env.save_state()
        rows, anchors = (torch.from_numpy(x).to(distiller.device) for x in (state.episode.rows, state.episode.anchors))
        calls: dict[str, Callable[[], object]] = {
            "step": partial(env.step, action),
            "bare": partial(bare, rows, anchors),
        }
        timed = {}
        for name in sorted(calls, reverse=bool(repeat % 2)):
            env.restore_state(state)
            timed[name] = _seconds(calls[name], distiller.device)
        pairs.append((timed["step"], timed["bare"]))
    whole, alone = np.array(pairs[2:]).T  # the first two warm up
    figures: dict[str, Any] = {
        "env_step_ratio": float(np.median(whole / alone)),
        "env_step_seconds": float(np.median(whole)),
        "bare_seconds": float(np.median(alone)),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    if file:
        write_text(file, json.dumps(figures, indent=1))
    for name, value in figures.items():
        print(f"{name:18}{value if isinstance(value, str) else f'{value:.4f}'}")
    return figures


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
