"""Bandits over groups: their formulas on tallies that are made up, and what they learn."""

from __future__ import annotations

from dataclasses import replace
from math import erf, exp, log, sqrt
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from l2a_agents.bandit import UCB, Bandit, Exp3, Tally, Thompson
from l2a_agents.fixed import RandomHalf, Uniform
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.envs.toy import ToyEnv

EPISODE = 1 + 10 * 2
"""What an episode costs, here as on the toy."""
KINDS = [Exp3, UCB, Thompson]
COLUMNS = ("domain=a", "domain=b", "operator=s", "kl", "operator=e")
SPACES = replace(Spaces.from_env(ToyEnv()), columns=COLUMNS, candidates=6)
SHOWN = np.array([True, True, False, True, False])  # all, a/s and b/s


def groups(pairs: list[str]) -> dict[str, Any]:
    """An observation of candidates of these domains and operators, written like ``as``."""
    rows = [[pair[0] == "a", pair[0] == "b", pair[1] == "s", 0.5, pair[1] == "e"] for pair in pairs]
    return {"candidates": np.array(rows, dtype=np.float32), "student": np.zeros(7, dtype=np.float32)}


class Groups(gym.Env[Any, Any]):
    """Six candidates, never of a/e; those of b/e are worth most; rewards are noisy, and larger in early steps."""

    PAIRS = ("as", "as", "bs", "bs", "be", "be")
    WORTH = np.array([0, 0, -1, -1, 2, 2])
    columns, candidates, steps = COLUMNS, 6, 10

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return groups(list(self.PAIRS)), self._info()

    def step(self, action: Any) -> Any:
        worth = float(action @ self.WORTH) / float(action.sum())
        reward = 0.01 * (worth + self.np_random.normal() + 30 / (1 + self.t))
        self.t += 1
        return groups(list(self.PAIRS)), reward, self.t == self.steps, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {"updates": self.t, "dev_passes": self.t + 1, "dev_accuracy": 0.5, "weight/a": 0.0}


class MakeGroups(MakeEnv):
    def __init__(self) -> None:
        super().__init__("groups")

    def __call__(self, **options: Any) -> gym.Env[Any, Any]:
        return Groups()


def trained(kind: type[Bandit], episodes: int, seed: int = 0) -> Bandit:
    bandit = kind(SPACES)
    bandit.train(MakeGroups(), EPISODE * episodes, seed, lambda *_: None)
    return bandit


# Arms


def test_arms_are_all_and_each_domain_by_each_operator() -> None:
    bandit = UCB(SPACES)
    assert bandit.arms == ("all", "a/s", "a/e", "b/s", "b/e")
    assert bandit.members(groups(["as", "be", "bs", "be"])).tolist() == [
        [True, True, True, True],
        [True, False, False, False],
        [False, False, False, False],
        [False, False, True, False],
        [False, True, False, True],
    ]


@pytest.mark.parametrize("columns", [("domain=a", "kl"), ("operator=s", "kl")])
def test_without_groups_there_are_no_arms(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"needs columns domain=\.\.\. and operator=\.\.\., not .*kl"):
        Exp3(replace(SPACES, columns=columns))


# A pull's reward


def test_a_reward_is_less_the_mean_at_its_step_over_the_running_scale() -> None:
    tally = Tally([0], [0.0], [0, 0], [0.0, 0.0])
    assert tally.relative(0, 5.0) == 0  # nothing to compare it with
    assert tally.relative(1, 1.0) == 0
    assert tally.relative(0, 7.0) == pytest.approx(1 / (2 * sqrt(1 / 3)))  # 1 above the mean 6
    assert tally.relative(1, -2.0) == pytest.approx(-1.5 / (2 * sqrt((1 + 1.5**2) / 4)))
    assert tally.mean == [6.0, -0.5]


def test_a_pulls_reward_depends_on_neither_unit_nor_zero_and_is_cut() -> None:
    rewards = [*np.random.default_rng(0).normal(size=40).tolist(), 1000.0, -1000.0, 0.3]
    plain, other = (Tally([0], [0.0], [0], [0.0]) for _ in range(2))
    one = [plain.relative(0, r) for r in rewards]
    two = [other.relative(0, 3 + 0.01 * r) for r in rewards]
    np.testing.assert_allclose(one, two, atol=1e-9)
    assert max(one) == 1
    assert min(one) == -1


# The formulas


def with_tally(kind: type[Bandit], pulls: list[int], total: list[float]) -> Bandit:
    bandit = kind(SPACES)
    bandit.tally = Tally(pulls, total, [sum(pulls)] + [0] * 9, [0.0] * 10)
    return bandit


RNG = np.random.default_rng(0)


def test_exp3_mixes_a_softmax_of_its_totals_with_chance() -> None:
    bandit = with_tally(Exp3, [9, 5, 3, 7, 1], [3.0, -6.0, 100.0, 12.0, 50.0])
    powers = [exp(0.2 / 3 * total) for total in (3, -6, 12)]  # three arms are shown
    q = [power / sum(powers) for power in powers]
    np.testing.assert_allclose(bandit.worth(SHOWN), [q[0], q[1], 0, q[2], 0], atol=1e-12)
    p = [0.8 * share + 0.2 / 3 for share in q]
    np.testing.assert_allclose(bandit.chances(SHOWN, RNG), [p[0], p[1], 0, p[2], 0], atol=1e-12)


def test_ucb_pulls_new_arms_first_and_then_the_largest_bound() -> None:
    bandit = with_tally(UCB, [40, 10, 0, 0, 0], [4.0, 0.5, 0.0, 0.0, 0.0])
    assert bandit.chances(SHOWN, RNG).tolist() == [0, 0, 0, 1, 0]
    assert bandit.worth(SHOWN).tolist() == [1, 0, 0, 0, 0]
    bandit = with_tally(UCB, [40, 10, 3, 20, 0], [4.0, 0.5, 3.0, 3.0, 0.0])
    bounds = [total / n + sqrt(2 * log(73) / n) for n, total in ((40, 4.0), (10, 0.5), (20, 3.0))]
    assert np.argmax(bounds) == 1
    assert bandit.chances(SHOWN, RNG).tolist() == [0, 1, 0, 0, 0]
    assert bandit.worth(SHOWN).tolist() == [0, 0, 0, 1, 0]  # 0.15, more than 0.1 and 0.05; a/e is not shown


def test_thompson_weighs_arms_by_the_probability_to_be_best() -> None:
    bandit = with_tally(Thompson, [8, 3, 0, 2, 0], [2.0, 1.6, 0.0, 5.0, 0.0])
    pair = np.array([True, True, False, False, False])
    gap = (2 / 9 - 1.6 / 4) / sqrt(1 / 36 + 1 / 16)
    likely = (1 + erf(gap / sqrt(2))) / 2
    np.testing.assert_allclose(bandit.worth(pair), [likely, 1 - likely, 0, 0, 0], atol=0.03)
    rng = np.random.default_rng(1)
    pulled = np.mean([bandit.chances(pair, rng) for _ in range(2000)], axis=0)
    np.testing.assert_allclose(pulled, [likely, 1 - likely, 0, 0, 0], atol=0.03)


def test_a_candidates_weight_is_that_of_its_arms() -> None:
    bandit = with_tally(Exp3, [9, 5, 0, 7, 0], [3.0, -6.0, 0.0, 12.0, 0.0])
    whole, a, _, b, _ = bandit.worth(SHOWN)
    action = bandit.act(groups(["as", "bs", "as", "bs"]))
    np.testing.assert_allclose(action, [(whole + a) / (whole + b), 1] * 2, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_permutation_of_candidates_permutes_the_action(kind: type[Bandit]) -> None:
    bandit, pairs = trained(kind, 20), ["as", "be", "bs", "be", "as", "ae"]
    order = np.random.default_rng(0).permutation(6)
    assert np.array_equal(bandit.act(groups([pairs[i] for i in order])), bandit.act(groups(pairs))[order])


# Learning


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_group_is_found(kind: type[Bandit], seed: int) -> None:
    bandit = trained(kind, 60, seed)
    assert np.argmax(bandit.tally.pulls) == bandit.arms.index("b/e")
    weights = bandit.act(groups(list(Groups.PAIRS)))
    assert weights[4:].tolist() == [1, 1]
    assert weights[:4].max() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_groups_that_are_never_shown_are_never_pulled(kind: type[Bandit]) -> None:
    rows: list[dict[str, float]] = []
    bandit = kind(SPACES)
    bandit.train(MakeGroups(), EPISODE * 10, 0, lambda _, values: rows.append(values))
    assert bandit.tally.pulls[bandit.arms.index("a/e")] == 0
    assert [name for name in rows[-1] if name.startswith("arm/")] == ["arm/all", "arm/a/s", "arm/b/s", "arm/b/e"]
    assert sum(value for name, value in rows[-1].items() if name.startswith("arm/")) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_best_group_is_not_shown_another_is_played(kind: type[Bandit]) -> None:
    weights = trained(kind, 60).act(groups(["as", "as", "bs", "bs"]))
    assert weights.max() == 1
    assert weights[0] >= weights[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_toy_pays_more_than_under_a_random_half_or_equal_weights(
    make_toy: MakeEnv, spaces: Spaces, share: Any, kind: type[Bandit]
) -> None:
    bandit = kind(spaces)
    before = share(bandit)
    bandit.train(make_toy, EPISODE * 100, 0, lambda *_: None)
    assert share(bandit) > 0.15 + max(before, share(RandomHalf(spaces)), share(Uniform(spaces)))


# Budget, seeds, files


@pytest.mark.parametrize("budget", [EPISODE - 1, EPISODE, EPISODE + 1])
def test_training_ends_with_the_episode_that_spends_the_budget(budget: int) -> None:
    spent: list[int] = []
    UCB(SPACES).train(MakeGroups(), budget, 0, lambda units, _: spent.append(units))
    assert spent[-1] - EPISODE < budget <= spent[-1]
    assert spent == [EPISODE * (i + 1) for i in range(len(spent))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_acts_the_same_and_goes_on_from_its_counts(kind: type[Bandit], tmp_path: Path) -> None:
    bandit, again = trained(kind, 10), kind(SPACES)
    bandit.save(tmp_path)
    again.load(tmp_path)
    seen = groups(list(Groups.PAIRS))
    assert np.array_equal(again.act(seen), bandit.act(seen))
    assert not np.array_equal(again.act(seen), kind(SPACES).act(seen))
    for each in (bandit, again):
        each.train(MakeGroups(), EPISODE * 5, 1, lambda *_: None)
    assert again.tally == bandit.tally
    assert sum(again.tally.pulls) == 150
