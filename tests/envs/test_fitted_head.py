"""Where a student's classifier begins: drawn from the seed, or at a regression of the anchors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.errors import UserError

FITTED = {"head": "fitted"}


def classifier(env: DistillAugEnv) -> tuple[torch.Tensor, torch.Tensor]:
    """A copy of weight and bias."""
    head = env.student.classifier
    return head.weight.detach().clone(), head.bias.detach().clone()


@pytest.mark.parametrize("anchors", ["shots", "all"])
def test_a_fitted_head_is_the_regression_of_the_anchors_on_the_students_own_vectors(
    small: dict[str, Any], anchors: str
) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=3, options={"anchors": anchors, **FITTED})
    rows = list(env.world.anchors(anchors))
    texts = env.world.texts.take(torch.tensor(rows))
    vectors = env.student.bert(**texts.tokens.inputs()).pooler_output.detach().double().numpy()
    fitted = LogisticRegression(max_iter=1000).fit(vectors, texts.label.numpy())
    log_odds = np.diff(env.predict(texts.tokens).detach().double().numpy())[:, 0]
    np.testing.assert_allclose(log_odds, fitted.decision_function(vectors), atol=2e-3)


def test_it_is_the_same_for_every_seed_and_a_drawn_one_is_the_default(small: dict[str, Any]) -> None:
    env, found = DistillAugEnv(**small), []
    for seed, options in ((0, FITTED), (1, FITTED), (0, None), (0, {"head": "drawn"}), (1, None)):
        env.reset(seed=seed, options=options)
        found.append(classifier(env))
        env.step(np.ones(env.candidates, dtype=np.float32))
    assert all(torch.equal(*each) for each in zip(found[0], found[1], strict=True))
    assert torch.equal(found[2][0], found[3][0])
    assert not torch.equal(found[2][0], found[4][0])
    assert found[0][1].any()
    assert not found[2][1].any()  # a drawn one begins without a bias, also after a fitted one


@pytest.mark.parametrize("engine", ["threads", "batched"])
def test_vector_environments_take_it_where_the_mask_says(small: dict[str, Any], engine: str) -> None:
    one = DistillAugEnv(**small)
    one.reset(seed=0, options=FITTED)
    envs = DistillAugVectorEnv(num_envs=2, **small, engine=engine)
    envs.reset(seed=0)
    envs.reset(options={"reset_mask": np.array([False, True]), **FITTED})
    drawn, fitted = (envs.batch.students.student(i).classifier for i in (0, 1))
    assert drawn.weight.abs().max() < 0.2
    torch.testing.assert_close(fitted.weight, one.student.classifier.weight, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(fitted.bias, one.student.classifier.bias, rtol=1e-3, atol=1e-3)


def test_first_scores_and_observation_are_those_of_the_fitted_head(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    _, drawn = env.reset(seed=0)
    observation, fitted = env.reset(seed=0, options=FITTED)
    assert fitted["dev_nll"] != drawn["dev_nll"]
    dev = env.world.dev
    nll = torch.nn.functional.cross_entropy(env.predict(dev.tokens), dev.label)
    assert fitted["dev_nll"] == pytest.approx(float(nll), abs=1e-5)
    shown = env.world.texts.take(torch.from_numpy(env.shown()))
    loss = torch.nn.functional.cross_entropy(env.predict(shown.tokens), shown.label, reduction="none")
    column = observation["candidates"][:, env.columns.index("student_loss")]
    np.testing.assert_allclose(column, loss / (1 + loss), atol=1e-3)


def test_an_unknown_choice_is_named(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    before = env.shown()
    with pytest.raises(UserError, match=r"^unknown head 'fited': did you mean 'fitted'\? valid are drawn, fitted$"):
        env.reset(options={"head": "fited"})
    assert np.array_equal(env.shown(), before)
