"""Random search over static rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.rollout import TRAINING_SEEDS
from l2a_agents.search import Config, RandomSearch
from l2a_agents.selector import MakeEnv, Spaces

EPISODES = Config().episodes
RULE = EPISODES * (1 + 10 * 2)
"""What trying a rule costs."""


def test_the_best_of_the_tried_rules_is_kept(make_toy: MakeEnv, spaces: Spaces) -> None:
    selector, rows = RandomSearch(spaces), []
    selector.train(make_toy, RULE * 30, 0, lambda _, values: rows.append(values))
    rewards, best = ([row[name] for row in rows] for name in ("reward", "best"))
    assert best == np.maximum.accumulate(rewards).tolist()
    episodes = RuleEpisodes(make_toy, spaces, 0)
    episodes.reset()
    replayed = [episodes.step(selector.theta[None].astype(np.float32))[1][0] for _ in range(TRAINING_SEEDS)]
    turn = int(np.argmax(rewards)) * EPISODES % TRAINING_SEEDS
    assert best[-1] == pytest.approx(np.mean(replayed[turn : turn + EPISODES]), abs=1e-9)


def test_the_uniform_rule_is_tried_first(make_toy: MakeEnv, spaces: Spaces) -> None:
    selector, rows = RandomSearch(spaces), []
    selector.train(make_toy, 1, 0, lambda spent, values: rows.append((spent, values["reward"])))
    episodes = RuleEpisodes(make_toy, spaces, 0)
    episodes.reset()
    uniform = [episodes.step(np.zeros((1, 6)))[1][0] for _ in range(EPISODES)]
    assert rows == [(RULE, pytest.approx(np.mean(uniform), abs=1e-12))]
    assert selector.theta.tolist() == [0.0] * 6


def test_more_budget_finds_better_rules(make_toy: MakeEnv, spaces: Spaces, share: Any) -> None:
    shares = []
    for rules in (5, 40):
        selector = RandomSearch(spaces)
        selector.train(make_toy, RULE * rules, 0, lambda *_: None)
        shares.append(share(selector))
    assert 0.1 < shares[0] < shares[1]
    assert shares[1] > 0.85


@pytest.mark.parametrize("budget", [RULE - 1, RULE, RULE + 1, 5 * RULE])
def test_training_ends_with_the_rule_that_spends_the_budget(make_toy: MakeEnv, spaces: Spaces, budget: int) -> None:
    spent: list[int] = []
    RandomSearch(spaces).train(make_toy, budget, 0, lambda units, _: spent.append(units))
    assert budget <= spent[-1] < budget + RULE
