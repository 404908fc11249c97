"""Rules of one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from l2a_agents.heuristic import Oracle, Similarity, TeacherConfidence, TopShare
from l2a_agents.selector import Spaces


@pytest.mark.parametrize(
    ("kind", "column", "kept"), [(TeacherConfidence, "teacher_confidence", 16), (Similarity, "similarity", 8)]
)
def test_the_highest_are_kept(
    face: Spaces, observation: dict[str, Any], kind: type[TopShare], column: str, kept: int
) -> None:
    action = kind(face).act(observation)
    values = observation["candidates"][:, face.columns.index(column)]
    assert set(action.tolist()) == {0.0, 1.0}
    assert action.sum() == kept
    assert values[action == 1].min() > values[action == 0].max()


def test_ties_go_to_the_first(face: Spaces, observation: dict[str, Any]) -> None:
    flat = {"candidates": np.zeros_like(observation["candidates"])}
    assert Similarity(face).act(flat).tolist() == [1.0] * 8 + [0.0] * 24


@pytest.mark.parametrize("kind", [TeacherConfidence, Similarity])
def test_permutation_of_candidates_permutes_the_action(
    face: Spaces, observation: dict[str, Any], kind: type[TopShare]
) -> None:
    order = np.random.default_rng(0).permutation(32)
    shuffled = observation | {"candidates": observation["candidates"][order]}
    assert np.array_equal(kind(face).act(shuffled), kind(face).act(observation)[order])


def test_the_oracle_keeps_what_is_clean() -> None:
    clean = np.array([1, 0, 0, 1], dtype=np.float32)
    selector = Oracle(Spaces(("clean",), 4, 1))
    assert selector.env_options == {"features": ["clean"]}
    assert np.array_equal(selector.act({"candidates": clean[:, None]}), clean)


def test_a_column_that_is_not_shown_is_named(face: Spaces, observation: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs the column 'clean'; the environment shows domain=target, .*agreement"):
        Oracle(face).act(observation)
