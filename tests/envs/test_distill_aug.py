"""``L2A-Distill-v0``: the contract of docs/environment.md, on a tiny task with real students."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.losses import distillation_loss
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.features import STUDENT
from l2a_gym.envs.world import load_world
from l2a_gym.errors import UserError
from l2a_gym.preparation.store import Prepared

ID = "l2a_gym:L2A-Distill-v0"
N, T, K = 24, 4, 2  # the budget of the small task
ALL = np.ones(N, dtype=np.float32)


@pytest.fixture(scope="module")
def env(small: dict[str, Any]) -> DistillAugEnv:
    return DistillAugEnv(**small)


@pytest.fixture(scope="module")
def other(small: dict[str, Any]) -> DistillAugEnv:
    """Make a second environment with prepared texts of its own."""
    return DistillAugEnv(**small)


@pytest.fixture(scope="module")
def mixed(small: dict[str, Any]) -> DistillAugEnv:
    return DistillAugEnv(**small, action="mixture")


@pytest.fixture
def tampered(other: DistillAugEnv) -> Iterator[DistillAugEnv]:
    """Lend the second environment, whose labels and teacher logits a test may change."""
    texts = other.world.texts
    assert texts.teacher is not None
    label, teacher = texts.label.clone(), texts.teacher.clone()
    yield other
    texts.label.copy_(label)
    texts.teacher.copy_(teacher)


def actions(n: int, size: int = N, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (n, size)).astype(np.float32)


def play(env: gym.Env[Any, Any], seed: int, plan: NDArray[np.float32]) -> list[float]:
    env.reset(seed=seed)
    return [float(env.step(action)[1]) for action in plan]


def same(one: dict[str, NDArray[np.float32]], two: dict[str, NDArray[np.float32]]) -> bool:
    return all(np.array_equal(one[name], two[name]) for name in one)


# Spaces and types


@pytest.mark.parametrize("mode", ["weights", "trust", "mixture"])
def test_gymnasium_has_no_complaint(small: dict[str, Any], mode: str) -> None:
    env = gym.make(ID, **small, action=mode, disable_env_checker=True).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=False)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("mode", ["weights", "mixture"])
def test_stable_baselines_complains_of_tables_alone(small: dict[str, Any], mode: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checker.check_env(DistillAugEnv(**small, action=mode))
    # Tables (N, F) and (D, G) are what agents that treat candidates alike need; its advice is for flat networks.
    assert [str(warning.message).split(" (neither")[0] for warning in caught] == [
        "Your observation candidates has an unconventional shape",
        "Your observation domains has an unconventional shape",
        "Your observation operators has an unconventional shape",
    ]


def test_rewards_are_floats_and_flags_bools(env: DistillAugEnv) -> None:
    env.reset(seed=0)
    ends = []
    for action in actions(T):
        _, reward, terminated, truncated, _ = env.step(action)
        assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
        ends.append((terminated, truncated))
    assert ends == [(False, False)] * (T - 1) + [(True, False)]


def test_steps_replace_the_horizon_of_the_task(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, steps=1)
    env.reset(seed=0)
    assert env.step(ALL)[2] is True


# Seeds


@pytest.mark.parametrize("name", ["env", "mixed"])
def test_same_seed_and_actions_give_the_same_rewards(request: pytest.FixtureRequest, name: str) -> None:
    env = request.getfixturevalue(name)
    plan = actions(T, env.action_space.shape[0])
    rewards = play(env, 5, plan)
    assert play(env, 5, plan) == rewards
    assert play(env, 6, plan) != rewards
    assert play(env, 5, -plan) != rewards


def test_episodes_of_one_seed_go_on_from_each_other(env: DistillAugEnv) -> None:
    def two() -> list[list[float]]:
        env.reset(seed=3)
        first = [env.step(action)[1] for action in actions(T)]
        env.reset()
        return [first, [env.step(action)[1] for action in actions(T)]]

    one, again = two(), two()
    assert one == again
    assert one[0] != one[1]


def test_global_generators_neither_matter_nor_move(env: DistillAugEnv) -> None:
    rewards = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        rewards.append(play(env, 0, actions(2)))
        assert torch.equal(before[0], torch.get_rng_state())
        assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert rewards[0] == rewards[1]


def test_workers_give_the_same_rewards(env: DistillAugEnv, small: dict[str, Any], forks: BaseContext) -> None:
    plan = actions(2 * T).reshape(2, T, N)
    method = forks.get_start_method()
    workers = gym.make_vec(ID, 2, vectorization_mode="async", vector_kwargs={"context": method}, **small)
    try:
        workers.reset(seed=[11, 12])
        rewards = np.stack([workers.step(plan[:, t])[1] for t in range(T)], axis=1)
    finally:
        workers.close()
    assert rewards.tolist() == [play(env, 11, plan[0]), play(env, 12, plan[1])]


# Saved states


@pytest.mark.parametrize("name", ["env", "mixed"])
@pytest.mark.parametrize("begun", [0, 2])
def test_restoring_and_forking_go_on_bit_for_bit(request: pytest.FixtureRequest, name: str, begun: int) -> None:
    env = request.getfixturevalue(name)
    plan = actions(T, env.action_space.shape[0])
    env.reset(seed=1)
    for action in plan[:begun]:
        env.step(action)
    state, twin = env.save_state(), env.fork()
    first = [env.step(action) for action in plan[begun:]]
    env.restore_state(state)
    again = [env.step(action) for action in plan[begun:]]
    forked = [twin.step(action) for action in plan[begun:]]
    for steps in (again, forked):
        assert [step[1:] for step in steps] == [step[1:] for step in first]
        assert all(same(one[0], two[0]) for one, two in zip(first, steps, strict=True))


def test_a_state_moves_to_another_environment_of_the_same_arguments(env: DistillAugEnv, small: dict[str, Any]) -> None:
    env.reset(seed=1)
    env.step(actions(1)[0])
    state = env.save_state()
    expected = [env.step(action)[1] for action in actions(2)]
    fresh = DistillAugEnv(**small)
    fresh.restore_state(state)
    assert [fresh.step(action)[1] for action in actions(2)] == expected


def test_a_fork_leaves_the_original_alone(env: DistillAugEnv) -> None:
    expected = play(env, 2, actions(2))
    env.reset(seed=2)
    twin = env.fork()
    for action in actions(3, seed=9):
        twin.step(action)
    assert [env.step(action)[1] for action in actions(2)] == expected


# Rewards


@pytest.mark.parametrize("metric", ["nll", "accuracy", "macro_f1"])
def test_rewards_add_up_to_last_less_first(small: dict[str, Any], metric: str) -> None:
    env = DistillAugEnv(**small, metric=metric)
    sign = -1 if metric == "nll" else 1
    _, first = env.reset(seed=0)
    steps = [env.step(action) for action in actions(T)]
    total = sign * (steps[-1][4][f"dev_{metric}"] - first[f"dev_{metric}"])
    assert sum(step[1] for step in steps) == pytest.approx(total, abs=1e-12)
    assert total != 0


def test_fewer_passes_over_dev_teach_the_same_student(env: DistillAugEnv, small: dict[str, Any]) -> None:
    """Rewards come with the passes and add up to the same sum; the student does not notice."""
    plan = actions(T)
    env.reset(seed=4)
    every = [env.step(action) for action in plan]
    seldom = DistillAugEnv(**small, dev_every=3)  # T is no multiple of it: the last step has a pass all the same
    seldom.reset(seed=4)
    steps = [seldom.step(action) for action in plan]
    assert [info["dev_passes"] for *_, info in steps] == [1, 1, 2, 3]
    assert [reward for _, reward, *_ in steps[:2]] == [0.0, 0.0]
    assert steps[2][1] == pytest.approx(sum(reward for _, reward, *_ in every[:3]), abs=1e-12)
    assert steps[3][1] == every[3][1]
    assert [info["train_loss"] for *_, info in steps] == [info["train_loss"] for *_, info in every]
    nll = list(STUDENT).index("dev_nll")
    assert steps[0][0]["student"][nll] == steps[1][0]["student"][nll] != steps[2][0]["student"][nll]


def test_the_baseline_subtracts_what_uniform_weights_would_have_gained(
    env: DistillAugEnv, small: dict[str, Any]
) -> None:
    compared = DistillAugEnv(**small, baseline="uniform")
    compared.reset(seed=4)
    env.reset(seed=4)
    for t, action in enumerate(actions(T), start=1):
        twin = env.fork()
        _, reward, _, _, info = compared.step(action)
        assert reward == env.step(action)[1] - twin.step(ALL)[1]
        assert (info["updates"], info["dev_passes"]) == (2 * K * t, 1 + 2 * t)


def test_the_baseline_leaves_nothing_of_uniform_weights(small: dict[str, Any]) -> None:
    compared = DistillAugEnv(**small, baseline="uniform")
    assert play(compared, 0, np.tile(ALL, (T, 1))) == [0.0] * T


# What an action does


def test_only_the_ratio_of_weights_counts(env: DistillAugEnv) -> None:
    plan = np.maximum(actions(2), np.float32(0.01))
    rewards = play(env, 0, plan)
    assert play(env, 0, plan / 4) == rewards  # a power of two: the same floats
    assert play(env, 0, plan * 0.3) == pytest.approx(rewards, abs=2e-3)
    assert play(env, 0, plan**2) != pytest.approx(rewards, abs=2e-3)


def test_how_negative_a_dropped_candidate_is_does_not_count(env: DistillAugEnv) -> None:
    plan = actions(2)
    assert play(env, 0, np.where(plan > 0, plan, 0)) == play(env, 0, np.where(plan > 0, plan, -1)) == play(env, 0, plan)


def test_dropped_candidates_teach_nothing(env: DistillAugEnv, tampered: DistillAugEnv) -> None:
    action = actions(1)[0]
    [expected] = play(env, 0, action[None])
    texts = tampered.world.texts
    for chosen, equal in ((False, True), (True, False)):
        tampered.reset(seed=0)
        rows = tampered.save_state().episode.rows[(action > 0) == chosen]
        texts.label[rows] = 1 - texts.label[rows]
        assert texts.teacher is not None
        texts.teacher[rows] = -5 * texts.teacher[rows]
        assert (tampered.step(action)[1] == expected) is equal


def test_dropping_all_leaves_the_shots_alone(env: DistillAugEnv, small: dict[str, Any]) -> None:
    """Against a plain training loop over the shots, in parts of similar length."""
    env.reset(seed=0)
    reference = env.fork()
    _, reward, _, _, info = env.step(-ALL)
    assert math.isfinite(reward)
    assert info["selected"] == 0
    assert [info[f"weight/{domain}"] for domain in env.domains] == [0, 0, 0]

    distiller, texts, dev = reference.batch.students.distillers[0], reference.world.texts, reference.world.dev
    student, config = distiller.student, distiller.config
    optimizer = torch.optim.AdamW(student.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    anchors = torch.from_numpy(reference.save_state().episode.anchors)
    assert len(anchors) == K * config.anchors
    assert (anchors >= reference.world.candidates).all()
    with torch.no_grad():
        before = torch.nn.functional.cross_entropy(student(**dev.tokens.inputs()).logits, dev.label)
    losses = []
    for rows in anchors[texts.tokens.length[anchors].argsort(stable=True)].chunk(K):
        logits = student(**texts.tokens.take(rows).inputs()).logits
        assert texts.teacher is not None
        loss = distillation_loss(
            logits, texts.label[rows], texts.teacher[rows], config.alpha, config.temperature
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), config.clip)
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = torch.nn.functional.cross_entropy(student(**dev.tokens.inputs()).logits, dev.label)
    assert info["train_loss"] == pytest.approx(np.mean(losses), abs=1e-4)
    assert reward == pytest.approx(float(before - after), abs=1e-4)


@pytest.mark.parametrize("action", [ALL, -ALL, actions(1)[0]], ids=["all", "none", "some"])
def test_compute_is_the_same_whatever_is_chosen(env: DistillAugEnv, action: NDArray[np.float32]) -> None:
    _, info = env.reset(seed=0)
    assert (info["updates"], info["dev_passes"]) == (0, 1)
    for t in range(1, T + 1):
        *_, info = env.step(action)
        assert (info["updates"], info["dev_passes"]) == (K * t, 1 + t)
        taken = {int(state["step"]) for state in env.batch.students.distillers[0].optimizer.state.values()}
        assert taken == {K * t}


def test_info_has_the_same_numbers_in_every_step(env: DistillAugEnv) -> None:
    infos = [env.reset(seed=0)[1], *(env.step(action)[4] for action in actions(T))]
    keys = ["dev_nll", "dev_accuracy", "dev_macro_f1", "train_loss", "selected", "updates", "dev_passes", "diverged"]
    for info in infos:
        assert list(info) == [*keys, "weight/films", "weight/books", "weight/songs"]
        assert all(type(value) in (bool, int, float) and math.isfinite(value) for value in info.values())


def test_info_shows_the_share_of_weight_by_domain(env: DistillAugEnv) -> None:
    env.reset(seed=0)
    weight = np.zeros(3)
    for action in actions(2):
        domain = np.array(env.world.prepared.pool()["domain"])[env.save_state().episode.rows]
        np.add.at(weight, domain, np.maximum(action, 0))
        *_, info = env.step(action)
        assert info["selected"] == (action > 0).mean()
        assert [info[f"weight/{name}"] for name in env.domains] == pytest.approx(weight / weight.sum(), abs=1e-6)


def test_candidates_are_shown_without_repetition(env: DistillAugEnv) -> None:
    env.reset(seed=0)
    for action in actions(2):
        rows = env.save_state().episode.rows
        assert len(set(rows.tolist())) == N
        assert (rows >= 0).all()
        assert (rows < env.world.candidates).all()
        env.step(action)


# Mixtures


def drawn(mixed: DistillAugEnv, action: NDArray[np.float32], episodes: int) -> NDArray[np.float64]:
    total = np.zeros(len(action))
    for seed in range(episodes):
        mixed.reset(seed=seed)
        for _ in range(T):
            mixed.step(action)
        total += mixed.save_state().episode.shown
    assert total.sum() == episodes * T * N
    return total


def test_a_mixture_draws_from_its_groups_as_its_logits_say(mixed: DistillAugEnv) -> None:
    pool = mixed.world.prepared.pool()
    group = np.array(pool["domain"]) * len(mixed.operators) + np.array(pool["operator"])
    present = np.bincount(group, minlength=15) > 0
    assert 0 < present.sum() < 15
    action = np.where(present, np.linspace(0, 0.5, 15), 1).astype(np.float32)  # empty groups are wanted most
    counts = drawn(mixed, action, episodes=5)
    assert (counts[~present] == 0).all()
    odds = np.exp(4 * action.astype(np.float64)) * present
    expected = odds / odds.sum()
    deviation = np.sqrt(counts.sum() * expected * (1 - expected))
    assert (np.abs(counts - counts.sum() * expected) <= 4 * deviation).all()


def test_a_mixture_with_one_wish_gets_it(mixed: DistillAugEnv) -> None:
    action = -np.ones(15, dtype=np.float32)
    action[5] = 1  # books x source
    counts = drawn(mixed, action, episodes=1)
    assert counts[5] >= 0.95 * counts.sum()
    assert mixed.save_state().episode.weight[5] == counts[5]


# Divergence and misuse


def test_a_diverged_student_ends_the_episode(env: DistillAugEnv) -> None:
    expected = play(env, 0, actions(2))
    env.reset(seed=0)
    env.step(actions(1)[0])
    distiller = env.batch.students.distillers[0]
    sane = distiller.config
    distiller.config = replace(sane, learning_rate=1e30)
    observation, reward, terminated, truncated, info = env.step(ALL)
    distiller.config = sane
    assert (reward, terminated, truncated, info["diverged"]) == (-1.0, True, False, True)
    assert env.observation_space.contains(observation)
    assert all(np.isfinite(table).all() for table in observation.values())
    assert all(math.isfinite(value) for value in info.values())
    with pytest.raises(ResetNeeded, match="the episode is over"):
        env.step(ALL)
    assert play(env, 0, actions(2)) == expected


def test_before_the_first_reset(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, render_mode="ansi")
    for call in (lambda: env.step(ALL), env.save_state, env.fork, env.render):
        with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
            call()


def test_after_the_end(env: DistillAugEnv) -> None:
    play(env, 0, actions(T))
    with pytest.raises(ResetNeeded, match=r"the episode is over: call reset\(\)"):
        env.step(ALL)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.full(N, np.nan), "the action is nan at place 0"),
        (np.where(np.arange(N) == 7, np.inf, 0), "the action is inf at place 7"),
        (np.zeros(N + 1), r"the action has shape \(25,\): valid is \(24,\)"),
        (np.zeros((1, N)), r"the action has shape \(1, 24\): valid is \(24,\)"),
    ],
)
def test_an_illegal_action_changes_nothing(env: DistillAugEnv, action: NDArray[np.float64], message: str) -> None:
    expected = play(env, 0, actions(1))
    env.reset(seed=0)
    with pytest.raises(UserError, match=message):
        env.step(action)  # type: ignore[arg-type]
    assert [env.step(action)[1] for action in actions(1)] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "hutto/nyt-65"}, "unknown task 'hutto/nyt-65': did you mean 'hutto/nyt-64'"),
        ({"action": "weight"}, "unknown action 'weight': did you mean 'weights'"),
        ({"metric": "f1"}, "unknown metric 'f1': did you mean 'macro_f1'"),
        ({"teacher": "all"}, "unknown teacher 'all': did you mean 'all-data'"),
        ({"student": "tinny"}, "unknown student 'tinny': did you mean 'tiny'"),
        ({"features": ["length", "similarty"]}, "unknown feature 'similarty': did you mean 'similarity'"),
        ({"features": []}, "features = .*: valid are "),
        ({"render_mode": "human"}, "unknown render_mode 'human': .*valid are ansi, rgb_array"),
        ({"steps": 0}, "steps = 0: valid are whole numbers from 1"),
        ({"dev_every": 0}, "dev_every = 0: valid are whole numbers from 1"),
        (
            {"dev_every": 2, "baseline": "uniform"},
            "dev_every = 2: baseline = 'uniform' needs a pass over dev in every step",
        ),
    ],
)
def test_unknown_choices_name_the_nearest(small: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        DistillAugEnv(**{**small, **arguments})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:99", r"device 'cuda:99' is not there: this machine has .* GPUs; use auto or cpu"),
        ("gpu", "unknown device 'gpu': valid are auto, cpu, cuda and cuda:<i>"),
    ],
)
def test_a_device_that_is_not_there(small: dict[str, Any], device: str, message: str) -> None:
    env = DistillAugEnv(**{**small, "device": device})  # the constructor does not look
    with pytest.raises(UserError, match=f"^{message}$"):
        env.reset(seed=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_where_there_is_none(small: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^device 'cuda' is not there: this machine has 0 GPUs; use auto or cpu$"):
        DistillAugEnv(**{**small, "device": "cuda"}).reset(seed=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha": 1.5}, "alpha = 1.5: valid are numbers from 0 to 1"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: valid are numbers from 0 to "),
        ({"anchors": 0}, "anchors = 0: valid are numbers from 1 to 1024"),
        ({"anchors": 4.5}, "distillation anchors = 4.5: valid are values like 16"),
        ({"temperature": 0.0}, "temperature = 0.0: valid are numbers from 0.01 to 100"),
        ({"alfa": 0.5}, "unknown distillation setting 'alfa': did you mean 'alpha'"),
    ],
)
def test_distillation_out_of_range(small: dict[str, Any], values: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        DistillAugEnv(**small, distillation=values)


def test_the_student_learns_as_the_distillation_says(small: dict[str, Any]) -> None:
    """Without a rate nothing changes; fewer anchors, and another rate, change what is learnt."""
    options: list[dict[str, float]] = [{"learning_rate": 0.0}, {}, {"anchors": 4}, {"learning_rate": 5e-4}]
    losses = []
    for distillation in options:
        env = DistillAugEnv(**small, distillation=distillation)
        _, before = env.reset(seed=0)
        _, _, _, _, after = env.step(np.ones(env.candidates, dtype=np.float32))
        losses.append(after["dev_nll"])
        assert (after["dev_nll"] == before["dev_nll"]) == (distillation == {"learning_rate": 0.0})
        assert env.fork().batch.students.distillers[0].config == replace(Distillation(), **distillation)
    assert len(set(losses)) == len(losses)


# Life and hygiene


def test_the_constructor_prepares_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    env = DistillAugEnv(checkpoint=str(tmp_path / "nowhere"), device="auto")
    assert env.observation_space["candidates"].shape == (192, len(env.columns))
    assert not (tmp_path / "cache").exists()
    env.close()
    env.close()


def test_close_twice_after_an_episode(small: dict[str, Any]) -> None:
    env = gym.make(ID, **small)
    env.reset(seed=0)
    env.close()
    env.close()


def test_spec_survives_json_and_pickle(small: dict[str, Any]) -> None:
    spec = gym.make(ID, **small, features=["length", "kl"], distillation={"alpha": 0.5}, render_mode="ansi").spec
    assert spec is not None
    for copy in (EnvSpec.from_json(spec.to_json()), pickle.loads(pickle.dumps(spec))):
        assert json.loads(copy.to_json()) == json.loads(spec.to_json())
        env = gym.make(copy)
        assert env.get_wrapper_attr("columns") == ("length", "kl")
        assert env.render_mode == "ansi"
        assert env.unwrapped.batch.students.distillers[0].config.alpha == 0.5


def test_the_texts_of_an_environment_are_all_but_those_of_test(env: DistillAugEnv) -> None:
    world, rows = env.world, env.world.prepared.rows
    assert list(rows) == ["pool", "train", "dev", "select", "test"]
    assert len(world.texts.label) == len(world.texts.tokens) == rows["select"].stop == rows["test"].start
    assert torch.equal(world.texts.tokens.ids, world.prepared.tokens(slice(0, rows["select"].stop)).ids)
    assert [*world.anchors("shots")] == [*range(rows["train"].start, rows["train"].stop)]
    assert torch.equal(world.dev.tokens.ids, world.prepared.tokens(rows["dev"]).ids)
    test = set(map(tuple, world.prepared.tokens(rows["test"]).ids.tolist()))
    assert not test & set(map(tuple, world.dev.tokens.ids.tolist()))


def test_the_test_split_has_no_influence(env: DistillAugEnv, small: dict[str, Any], tmp_path: Path) -> None:
    """With every array's rows of select and test overwritten, an episode is the same."""
    prepared = env.world.prepared
    hidden = slice(prepared.rows["select"].start, prepared.rows["test"].stop)
    shutil.copytree(prepared.folder, tmp_path / "copy")
    overwritten = 0
    for stage in ("tokens", "answers"):
        for file in (tmp_path / "copy" / stage).glob("*.npy"):
            array = np.load(file)
            if len(array) == hidden.stop:
                array[hidden] = array[0]
                np.save(file, array)
                overwritten += 1
    assert (
        overwritten == 10
    )  # ids, length, first, label; logits of five teachers and out of fold; sentence vectors end before
    blind = DistillAugEnv(**small)
    features = list(dict.fromkeys(column.split("=")[0] for column in env.columns))
    sizes = {"domain": len(env.domains), "operator": len(env.operators), "label": 2}
    blind.world = load_world(Prepared(tmp_path / "copy"), "few-shot", features, sizes, torch.device("cpu"))
    assert play(blind, 0, actions(T)) == play(env, 0, actions(T))
    assert same(blind.reset(seed=1)[0], env.reset(seed=1)[0])
