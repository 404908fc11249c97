"""Score selectors by the students they train: the only code that opens the test split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from l2a_agents.selector import Action, Observation, Selector
from tqdm import tqdm
from transformers import pipeline

from l2a_gym.distill.student import careful
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.episode import Scores
from l2a_gym.envs.reward import score
from l2a_gym.errors import UserError
from l2a_gym.experiment.run import Run, new_selector
from l2a_gym.preparation.store import TEACHERS, Prepared
from l2a_gym.tasks.task import Task, Texts

FINAL = {"learning_rate": 7e-4, "alpha": 0.9, "temperature": 1.0}
"""How the exported student learns: a long schedule wants a lower rate, and the teacher's own probabilities."""
FINAL_LOOKS = 20
"""Steps from one look at dev to the next in the exported student's schedule, which no reward comes from."""
BATCH = 64
"""Texts that an exported student is asked for at a time."""
UNIFORM = "uniform"
"""The selector that weights all alike."""
CONTROLS = ("none", UNIFORM, "oracle")
"""The selectors that stand in every table; the oracle where labels were flipped."""


@dataclass(frozen=True)
class Row:
    """One student: its seed, its scores on dev and test, what it cost, and the episode's return."""

    seed: int
    dev: Scores
    test: Scores
    updates: int
    seconds: float
    episode_return: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def of(values: Mapping[str, Any]) -> Row:
        """The row that :meth:`as_dict` gave."""
        return Row(**{**values, "dev": Scores(**values["dev"]), "test": Scores(**values["test"])})


class Move(NamedTuple):
    """A step of an episode: what was done, and what came of it."""

    action: Action
    reward: float
    observation: Observation
    info: dict[str, Any]


def play(env: gym.Env[Any, Any], act: Callable[[Observation], Action], seed: int) -> Iterator[Move]:
    """Play an episode, step by step.

    After a step, the environment holds the student as it is then.
    """
    observation, _ = env.reset(seed=seed)
    done = False
    while not done:
        action = act(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        yield Move(action, float(reward), observation, info)


def evaluate(run: Run, selector: Selector, seeds: Sequence[int]) -> list[Row]:
    """Train one student a seed under the selector, and score it on dev and test."""
    env = run.environment(**selector.env_options)
    rows = []
    for seed in seeds:
        start = time.perf_counter()
        moves = list(play(env, selector.act, seed))
        seconds = time.perf_counter() - start
        total, updates = sum(move.reward for move in moves), moves[-1].info["updates"]
        rows.append(Row(seed, score_student(env, "dev"), score_student(env, "test"), updates, seconds, total))
    return rows


def compare(run: Run, selector: Selector, seeds: Sequence[int]) -> dict[str, list[Row]]:
    """Rows of the controls that the task admits and of the selector, on the same seeds."""
    flips = bool(run.environment().world.prepared.array("signals/flipped").any())
    controls = [name for name in CONTROLS if name != "oracle" or flips]
    named = {name: new_selector(run, name) for name in controls} | {"selector": selector}
    bar = tqdm(named.items(), desc="comparing", leave=False)
    return {name: evaluate(run, each, seeds) for name, each in bar}


def best_student(run: Run, selector: Selector) -> tuple[DistillAugEnv, dict[str, Any]]:
    """The final student under the selector or under uniform weights, whichever has the better metric on ``select``.

    A selector learns in short episodes. In a long one, what it passes over may be worth more than what it prefers.

    Returns:
        As of :func:`final_student`, and ``policy``, the name of what chose.
    """
    policies = {run.algo: selector, UNIFORM: new_selector(run, UNIFORM)}
    found = {name: final_student(run, policy) for name, policy in policies.items()}
    best = max(found, key=lambda name: score_student(found[name][0], "select").value(run.metric))
    env, scores = found[best]
    return env, {**scores, "policy": best}


def final_student(
    run: Run,
    selector: Selector,
    *,
    seed: int | None = None,
    teacher: str | None = None,
    distillation: Mapping[str, float] = {},
) -> tuple[DistillAugEnv, dict[str, Any]]:
    """Train a student of the kind ``run.export_student`` for ``run.export_steps`` steps under the selector.

    Args:
        run: its environment and steps.
        selector: plays its deterministic actions.
        seed: of the episode; None: that of the run's exported student.
        teacher: whose logits teach; None: the teacher that is better on ``select``.
        distillation: values of :class:`~l2a_gym.distill.distiller.Distillation`, laid over :data:`FINAL`.

    Returns:
        The environment that holds the student, and its teacher, size, accuracies and updates.

    Raises:
        UserError: the student's loss became infinite.
    """
    teacher = teacher or better_teacher(run.environment().world.prepared)
    final = {**FINAL, "learning_rate": careful(run.export_student, FINAL["learning_rate"]), **distillation}
    long = {"steps": run.export_steps, "dev_every": FINAL_LOOKS, "distillation": final}
    options = {**selector.env_options, "student": run.export_student, "teacher": teacher, **long}
    env = run.environment(**options)
    moves = play(env, selector.act, student_seeds(1, 1, run.seed)[0] if seed is None else seed)
    *_, last = tqdm(moves, desc=f"final student ({teacher} teacher)", total=env.steps, leave=False)
    info = last.info
    if info["diverged"]:
        raise UserError(f"the student's loss is not finite after {info['updates']} updates: no student to export")
    return env, {
        "teacher": teacher,
        "parameters": env.world.prepared.manifest()["parameters"],
        "dev_accuracy": score_student(env, "dev").accuracy,
        "test_accuracy": score_student(env, "test").accuracy,
        "updates": info["updates"],
    }


def better_teacher(prepared: Prepared) -> str:
    """The teacher that is more often right on ``select``."""
    return max(TEACHERS, key=lambda name: score_teacher(prepared, name, "select").accuracy)


def score_student(env: DistillAugEnv, split: str) -> Scores:
    """Scores of the environment's student, as it is now, on a split of the target."""
    prepared = env.world.prepared
    held_out = prepared.labelled(prepared.rows[split]).to(env.world.static.device)
    return score(env.predict(held_out.tokens), held_out.label)


def score_export(folder: Path, task: Task, device: torch.device) -> dict[str, Any]:
    """Size of an exported student, and its accuracy on the target's dev and test texts, asked as its users ask it.

    Returns:
        ``parameters``, ``dev_accuracy`` and ``test_accuracy``.
    """
    classify = pipeline("text-classification", str(folder), device=device, trust_remote_code=False)

    def accuracy(texts: Texts) -> float:
        pairs = texts.pair and [{"text": a, "text_pair": b} for a, b in zip(texts.text, texts.pair, strict=True)]
        answers = classify(pairs or list(texts.text), batch_size=BATCH)
        return float(np.mean([found["label"] == task.labels[i] for found, i in zip(answers, texts.label, strict=True)]))

    scores = {f"{name}_accuracy": accuracy(texts) for name, texts in (("dev", task.dev), ("test", task.test))}
    return {"parameters": classify.model.num_parameters(), **scores}


def score_teacher(prepared: Prepared, teacher: str, split: str) -> Scores:
    """Scores of a teacher on a split of the target, from its stored logits."""
    rows = prepared.rows[split]
    return score(prepared.logits(teacher, rows), prepared.labels(rows))


def student_seeds(stream: int, count: int, run_seed: int = 0) -> list[int]:
    """Episode seeds for evaluation: every run and stream has its own, and training draws from others."""
    return [int(word) for word in np.random.SeedSequence([run_seed, stream, 0x5EED]).generate_state(count)]
