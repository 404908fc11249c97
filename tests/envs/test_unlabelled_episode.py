"""Episodes whose candidates include texts of the target without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.features import FEATURES

OPERATORS = ("source", "swap", "delete", "insert", "replace", "unlabelled")


@pytest.fixture(scope="module")
def env(unlabelled: dict[str, Any]) -> DistillAugEnv:
    """Shows all features that there are."""
    return DistillAugEnv(**unlabelled, features=list(FEATURES))


def shown(env: DistillAugEnv) -> np.ndarray:
    """Which of the candidates now shown have no label of their own."""
    rows = env.save_state().episode.rows
    return np.array(env.world.prepared.pool()["label"])[rows] < 0


def test_their_operator_is_known_before_texts_are_read(small: dict[str, Any], unlabelled: dict[str, Any]) -> None:
    plain, env = DistillAugEnv(**small), DistillAugEnv(**unlabelled)
    assert (plain.operators, env.operators) == (OPERATORS[:-1], OPERATORS)
    assert set(env.columns) - set(plain.columns) == {"operator=unlabelled"}
    assert env.observation_space["operators"].shape == (6, 5)
    mixture = DistillAugEnv(**unlabelled, action="mixture")
    assert mixture.action_space.shape == (3 * 6,)


def test_an_episode_shows_and_labels_them(env: DistillAugEnv) -> None:
    observation, _ = env.reset(seed=0)
    prepared = env.world.prepared
    assert prepared.manifest()["operators"] == list(env.operators)
    likeliest = prepared.logits("all-data", prepared.rows["pool"]).argmax(1).numpy()
    own, target, seen = (env.columns.index(name) for name in ("operator=unlabelled", "domain=films", "clean"))
    number = 0
    for action in np.random.default_rng(0).uniform(-1, 1, (env.steps, env.candidates)).astype(np.float32):
        assert env.observation_space.contains(observation)
        bare, rows = shown(env), env.save_state().episode.rows
        number += bare.sum()
        assert np.array_equal(observation["candidates"][:, own] == 1, bare)
        assert (observation["candidates"][bare][:, [target, seen]] == 1).all()
        assert env.world.texts.label[rows].numpy()[bare].tolist() == likeliest[rows[bare]].tolist()
        observation, reward, *_ = env.step(action)
        assert np.isfinite(reward)
    assert number > 0
    assert env.observation_space.contains(observation)


def test_the_table_of_operators_has_a_row_for_them(env: DistillAugEnv) -> None:
    observation, _ = env.reset(seed=1)
    row = dict(zip(env.operator_columns, observation["operators"][-1].tolist(), strict=True))
    bare = shown(env)
    assert row["is_source"] == 0
    assert row["made"] == pytest.approx(60 / env.world.candidates)
    assert row["chosen"] == 0
    loss = observation["candidates"][bare, env.columns.index("student_loss")]
    given = observation["candidates"][bare, env.columns.index("few_shot_label")]
    assert bare.any()
    assert (row["mean_loss"], row["label_kept"]) == pytest.approx((loss.mean(), given.mean()), abs=1e-5)
    observation, *_, info = env.step(np.where(bare, 1, -1).astype(np.float32))
    assert observation["operators"][-1][env.operator_columns.index("chosen")] == 1
    assert info["weight/films"] == 1


def test_a_mixture_can_draw_them_alone(unlabelled: dict[str, Any]) -> None:
    env = DistillAugEnv(**unlabelled, action="mixture")
    env.reset(seed=0)
    action = np.full(3 * 6, -1, dtype=np.float32)
    action[OPERATORS.index("unlabelled")] = 1  # of the target, the first domain
    weights = np.zeros(len(OPERATORS))
    for _ in range(env.steps):
        observation, *_ = env.step(action)
        weights = observation["operators"][:, env.operator_columns.index("chosen")]
    # softmax(4 * action) over the groups that hold candidates: two of sources, five of the target
    assert weights[-1] == pytest.approx(1 / (1 + 6 * np.exp(-8)), abs=0.03)
