"""The action mode ``trust``: whom the student believes about each candidate, against losses written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l2a_gym.envs.action import action_space, alphas_of
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError

N, T, K = 24, 4, 2  # the budget of the small task
ENGINES = ["threads", "batched"]


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def test_alpha_is_linear_on_either_side_of_the_configured_one() -> None:
    trust = np.array([-1, -0.5, 0, 0.5, 1], dtype=np.float32)
    assert alphas_of(trust, 0.25).tolist() == [0, 0.125, 0.25, 0.625, 1]
    assert alphas_of(trust, 0.0).tolist() == [0, 0, 0, 0.5, 1]
    assert alphas_of(trust, 1.0).tolist() == [0, 0.5, 1, 1, 1]
    assert alphas_of(trust, 0.25).dtype == np.float32


def test_there_are_two_values_a_candidate(small: dict[str, Any]) -> None:
    assert action_space("trust", candidates=3, groups=2).shape == (6,)
    env = DistillAugEnv(**small, action="trust")
    env.reset(seed=0)
    with pytest.raises(UserError, match=r"^the action has shape \(24,\): valid is \(48,\)$"):
        env.step(np.ones(N))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_has_the_loss_of_its_formula(small: dict[str, Any], engine: str) -> None:
    """The student stays as it is, so that the losses of all updates are by the same logits."""
    config = {"alpha": 0.3, "temperature": 3.0, "learning_rate": 0.0}
    env = DistillAugEnv(**small, action="trust", engine=engine, distillation=config)
    env.reset(seed=1)
    action = np.random.default_rng(0).uniform(-1, 1, 2 * N).astype(np.float32)
    episode, texts = env.save_state().episode, env.world.texts

    def losses(rows: NDArray[np.int64], alpha: Any) -> NDArray[np.float64]:
        logits = env.predict(texts.tokens.take(torch.from_numpy(rows))).double().numpy()
        soft, taught = (log_softmax(each / 3) for each in (logits, texts.teacher[rows].double().numpy()))
        hard = -log_softmax(logits)[np.arange(len(rows)), texts.label[rows].numpy()]
        return (1 - alpha) * hard + alpha * 9 * (np.exp(taught) * (taught - soft)).sum(1)

    weights, trust = np.maximum(action[:N], 0), action[N:].astype(np.float64)
    own = losses(episode.rows, np.where(trust > 0, 0.3 + 0.7 * trust, 0.3 * (1 + trust)))
    shots = losses(episode.anchors, 0.3)
    length = texts.tokens.length.numpy()
    parts = [np.split(np.argsort(length[rows], kind="stable"), K) for rows in (episode.rows, episode.anchors)]
    expected = [
        0.8 * (weights[chosen] @ own[chosen]) / weights[chosen].sum() + 0.2 * shots[anchors].mean()
        for chosen, anchors in zip(*parts, strict=True)
    ]
    *_, info = env.step(action)
    assert info["train_loss"] == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_trust_or_doubt_students_learn_as_by_weights_alone(small: dict[str, Any], engine: str) -> None:
    weights = np.random.default_rng(0).uniform(-1, 1, (T, N)).astype(np.float32)
    plans = {"weights": weights, "trust": np.concatenate([weights, np.zeros_like(weights)], axis=1)}
    rewards = []
    for mode, plan in plans.items():
        env = DistillAugEnv(**small, action=mode, engine=engine, baseline="uniform")
        env.reset(seed=2)
        rewards.append([env.step(action)[1] for action in plan])
    assert rewards[0] == pytest.approx(rewards[1], abs=1e-6)
