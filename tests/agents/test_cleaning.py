"""Rules on what is believed of given labels, on columns that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from l2a_agents.cleaning import (
    AllDataAgrees,
    Believed,
    ConfidentLearning,
    CrossFittedAgrees,
    CrossFittedBalanced,
    CrossFittedWeight,
    Doubt,
    FewShotAgrees,
    MeanAgrees,
    Oracle,
)
from l2a_agents.heuristic import OneColumn
from l2a_agents.selector import Spaces

OF_ONE_COLUMN = {
    FewShotAgrees: "few_shot_label",
    AllDataAgrees: "all_data_label",
    CrossFittedAgrees: "cross_fitted_label",
    ConfidentLearning: "plausible",
    Oracle: "clean",
}


def weights(kind: type[OneColumn], spaces: Spaces, **columns: list[float]) -> Any:
    """Weights where these columns are shown, one row a candidate."""
    shown = replace(spaces, columns=tuple(columns))
    return kind(shown).act({"candidates": np.array([*columns.values()], dtype=np.float32).T})  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "column"), OF_ONE_COLUMN.items())
def test_what_is_more_likely_than_not_is_kept(kind: type[Believed], column: str, spaces: Spaces) -> None:
    action = weights(kind, spaces, kl=[1, 0, 1, 0, 1], **{column: [0.9, 0.5, 0.51, 0.1, 0.0]})
    assert action.dtype == np.float32
    assert action.tolist() == [1, 0, 1, 0, 0]


def test_both_teachers_agree_by_their_mean(spaces: Spaces) -> None:
    few_shot, all_data = [0.9, 0.9, 0.4, 0.2], [0.2, 0.05, 0.7, 0.7]
    assert weights(MeanAgrees, spaces, few_shot_label=few_shot, all_data_label=all_data).tolist() == [1, 0, 1, 0]


def test_weights_rise_with_the_probability_of_a_label(spaces: Spaces) -> None:
    action = weights(CrossFittedWeight, spaces, kl=[1, 0, 1, 0, 0], cross_fitted_label=[0.9, 0.625, 0.5, 0.375, 0.2])
    assert action.dtype == np.float32
    assert action.tolist() == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_balanced_weights_give_each_class_its_share_of_the_target(spaces: Spaces, share: float) -> None:
    """Of classes a and b, the first has the given share of the target's labels."""
    a = np.array([1, 1, 1, 0, 0, 0])
    action = weights(
        CrossFittedBalanced,
        spaces,
        **{"label=a": a.tolist(), "label=b": (1 - a).tolist()},
        label_share=np.where(a, share, 1 - share).tolist(),
        cross_fitted_label=[0.9, 0.625, 0.5, 0.8, 0.1, 0.375],
    )
    plain = np.array([1, 0.75, 0.5, 1, 0, 0.25])
    expected = plain * np.where(a, share / 2.25, (1 - share) / 1.25)
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, expected / expected.max(), rtol=1e-6)
    np.testing.assert_allclose(action[:3].sum() / action.sum(), share, rtol=1e-6)


def test_a_class_that_is_not_shown_or_not_believed_leaves_the_rest_as_it_is(spaces: Spaces) -> None:
    columns = {"label=a": [1, 1, 0], "label=b": [0, 0, 1], "label_share": [0.5] * 3}
    assert weights(CrossFittedBalanced, spaces, **columns, cross_fitted_label=[0.75, 0.5, 0.25]).tolist() == [1, 0.5, 0]
    assert weights(CrossFittedBalanced, spaces, **columns, cross_fitted_label=[0.0] * 3).tolist() == [0] * 3


def test_without_columns_of_the_label_nothing_is_balanced(spaces: Spaces) -> None:
    action = weights(CrossFittedBalanced, spaces, label_share=[0.9, 0.9, 0.1], cross_fitted_label=[0.9, 0.625, 0.5])
    assert action.tolist() == [1, 0.75, 0.5]


def test_doubt_keeps_all_and_trusts_the_teacher_where_the_label_is_unlikely(spaces: Spaces) -> None:
    action = weights(Doubt, spaces, cross_fitted_label=[0.9, 0.5, 0.49, 0.0], kl=[0, 0, 1, 1])
    assert action.dtype == np.float32
    assert action.tolist() == [1, 1, 1, 1, 0, 0, 1, 1]
    assert Doubt.env_options == {"features": ["cross_fitted_label"], "action": "trust"}


def test_each_asks_for_its_own_column_where_that_is_not_shown_anyway() -> None:
    assert [kind.env_options for kind in (FewShotAgrees, AllDataAgrees, MeanAgrees)] == [{}] * 3
    for kind in (CrossFittedAgrees, CrossFittedWeight):
        assert kind.env_options == {"features": ["cross_fitted_label"]}
    assert CrossFittedBalanced.env_options == {"features": ["*", "label_share", "cross_fitted_label"]}
    assert ConfidentLearning.env_options == {"features": ["plausible"]}
    assert Oracle.env_options == {"features": ["clean"]}


def test_a_column_that_is_not_shown_is_named(spaces: Spaces, observation: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs the column 'clean'; the environment shows domain=target, .*agreement"):
        Oracle(spaces).act(observation)  # type: ignore[attr-defined]
