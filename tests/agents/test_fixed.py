"""Baselines that look at nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from l2a_agents.fixed import (
    Nothing,
    OneDomain,
    RandomHalf,
    TrustTeacher,
    Uniform,
    Without,
    WithoutLargest,
    WithoutSmallest,
)
from l2a_agents.selector import MakeEnv, Spaces


def test_uniform_gives_all_the_same_full_weight(spaces: Spaces, observation: dict[str, Any]) -> None:
    action = Uniform(spaces).act(observation)
    assert action.dtype == np.float32
    assert action.tolist() == [1.0] * 32


def test_nothing_drops_all(spaces: Spaces, observation: dict[str, Any]) -> None:
    action = Nothing(spaces).act(observation)
    assert action.dtype == np.float32
    assert action.tolist() == [0.0] * 32


def test_trusting_the_teacher_weighs_all_alike_and_takes_no_label(spaces: Spaces, observation: dict[str, Any]) -> None:
    assert TrustTeacher(spaces).act(observation).tolist() == [1.0] * 32
    assert TrustTeacher.env_options == {"distillation": {"alpha": 1.0, "temperature": 1.0}}


def test_one_source_is_left_out(spaces: Spaces, observation: dict[str, Any]) -> None:
    domains = observation["domains"].copy()
    domains[1:, spaces.domain_columns.index("size")] = 0.3, 0.5
    observation = observation | {"domains": domains}
    cases = (
        (Without(spaces, OneDomain("near")), "near"),
        (Without(spaces), "far"),  # which is at the largest distance
        (WithoutLargest(spaces), "far"),
        (WithoutSmallest(spaces), "near"),
    )
    for selector, source in cases:
        action = selector.act(observation)
        assert action.dtype == np.float32
        assert np.array_equal(action, observation["candidates"][:, spaces.column(f"domain={source}")] == 0)
        assert 0 < action.sum() < 32


@pytest.mark.parametrize("domain", ["target", "nearest"])
def test_what_is_no_source_can_not_be_left_out(spaces: Spaces, domain: str) -> None:
    with pytest.raises(ValueError, match=f"domain = '{domain}': valid are near, far"):
        Without(spaces, OneDomain(domain))


def test_random_half_keeps_exactly_half_and_favours_none(spaces: Spaces, observation: dict[str, Any]) -> None:
    selector = RandomHalf(spaces)
    kept = np.array([selector.act(observation) for _ in range(400)])
    assert set(np.unique(kept)) == {0, 1}
    assert (kept.sum(1) == 16).all()
    assert (np.abs(kept.mean(0) - 0.5) < 0.11).all()  # 4.4 deviations
    assert len({row.tobytes() for row in kept}) == 400


def test_random_half_repeats_itself_in_a_new_selector(spaces: Spaces, observation: dict[str, Any]) -> None:
    one, two = RandomHalf(spaces), RandomHalf(spaces)
    for _ in range(3):
        assert np.array_equal(one.act(observation), two.act(observation))


def test_random_half_of_an_odd_number(spaces: Spaces, observation: dict[str, Any]) -> None:
    odd = observation | {"candidates": observation["candidates"][:7]}
    assert RandomHalf(spaces).act(odd).sum() == 3


def test_training_spends_nothing(spaces: Spaces) -> None:
    class NoEnv(MakeEnv):
        def __call__(self, **_: object) -> Any:
            raise AssertionError("no environment is needed")

        vector = __call__

    make_env = NoEnv("none")
    logged: list[int] = []
    for kind in (Uniform, TrustTeacher, Without, WithoutLargest, WithoutSmallest, Nothing, RandomHalf):
        kind(spaces).train(make_env, 1000, 0, lambda spent, _: logged.append(spent))
    assert logged == []
