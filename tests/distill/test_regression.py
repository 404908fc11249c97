"""Regressions against scikit-learn's, and folds that keep texts apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.regression import FOLDS, UNSEEN, Head, cross_fit, fit, folds_of, regression


def draw(n: int, classes: int = 2, noise: float = 0.4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points around a centre a class on the unit sphere."""
    rng = np.random.default_rng([seed, classes])
    centres = np.random.default_rng(classes).normal(size=(classes, 16))
    label = np.arange(n) % classes
    points = centres[label] / 4 + noise * rng.normal(size=(n, 16))
    return F.normalize(torch.from_numpy(points).float()), torch.from_numpy(label)


@pytest.mark.parametrize("classes", [2, 4])
def test_regression_is_scikit_learns_with_the_penalty_that_dev_prefers(classes: int) -> None:
    train, dev = draw(200, classes), draw(2000, classes, seed=1)
    head = regression(*train, *dev)
    assert (head.weight.shape, head.bias.shape, head.weight.dtype) == ((classes, 16), (classes,), torch.float32)
    fits = [LogisticRegression(C=c, max_iter=1000).fit(*(x.numpy() for x in train)) for c in 10.0 ** np.arange(-2, 4)]
    accuracy = float((head(dev[0]).argmax(1) == dev[1]).float().mean())
    assert accuracy >= max(fit.score(dev[0].numpy(), dev[1].numpy()) for fit in fits) - 0.0051
    odds = [fit.predict_proba(dev[0].numpy()) for fit in fits]
    assert min(np.abs(head(dev[0]).softmax(1).numpy() - each).max() for each in odds) < 1e-3


def test_weights_are_copies() -> None:
    inputs, label = draw(60, 3)
    copies = torch.arange(60) % 3 + 1
    weighted = fit(inputs, label, 3, 1.0, copies.double())
    repeated = fit(inputs.repeat_interleave(copies, 0), label.repeat_interleave(copies), 3, 1.0)
    torch.testing.assert_close(weighted.weight, repeated.weight, atol=2e-3, rtol=0)


def test_a_class_without_texts_is_never_the_likeliest() -> None:
    inputs, label = draw(60, 2)
    head = fit(inputs, label * 2, 4, 1.0)
    assert (head.bias[[1, 3]] == UNSEEN).all()
    torch.testing.assert_close(head(inputs)[:, [0, 2]], fit(inputs, label, 2, 1.0)(inputs))
    assert set(head(inputs).argmax(1).tolist()) == {0, 2}


def test_no_text_is_judged_by_a_head_that_has_learnt_from_it() -> None:
    """Whatever label a text has, its own logits stay: folds know classes, so two texts change places."""
    inputs, label = draw(50, 2)
    options = {"classes": 2, "penalties": (1.0,), "seed": 0}
    weight, every = torch.ones(50), torch.arange(50)
    logits, head = cross_fit(inputs, label, weight, every, **options)
    fold = torch.from_numpy(folds_of(label.numpy(), 0))
    learnt = fold != fold[7]
    torch.testing.assert_close(logits[7], fit(inputs[learnt], label[learnt], 2, 1.0)(inputs[7]))
    heads = [fit(inputs[fold != each], label[fold != each], 2, 1.0) for each in range(FOLDS)]
    torch.testing.assert_close(head.weight, torch.stack([each.weight for each in heads]).mean(0))


def test_the_penalty_is_chosen_by_the_texts_that_are_measured() -> None:
    """Of two halves, one has labels that a strong penalty predicts better out of fold, the other a weak one."""
    inputs, label = draw(400, 2, noise=0.3)
    label = torch.cat([label[:200], torch.from_numpy(np.random.default_rng(0).integers(0, 2, 200))])
    weight = torch.ones(400)
    rows = {"clean": torch.arange(200), "random": torch.arange(200, 400)}
    one = {c: cross_fit(inputs, label, weight, rows["clean"], classes=2, penalties=(c,), seed=0) for c in (1e-4, 1e3)}
    losses = {
        name: {c: float(F.cross_entropy(logits[part], label[part])) for c, (logits, _) in one.items()}
        for name, part in rows.items()
    }
    for name, part in rows.items():
        best = min(losses[name], key=losses[name].__getitem__)
        logits, head = cross_fit(inputs, label, weight, part, classes=2, penalties=(1e-4, 1e3), seed=0)
        assert torch.equal(logits, one[best][0])
        assert torch.equal(head.weight, one[best][1].weight)
    assert losses["clean"][1e3] < losses["clean"][1e-4]
    assert losses["random"][1e-4] < losses["random"][1e3]


def test_folds_hold_every_class_as_evenly_as_can_be() -> None:
    label = np.repeat([0, 1, 2], [31, 12, 5])
    fold = folds_of(label, 0)
    for c in range(3):
        counts = np.bincount(fold[label == c], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert np.array_equal(folds_of(label, 0), fold)
    assert not np.array_equal(folds_of(label, 1), fold)


def test_a_head_is_divided() -> None:
    head = Head(torch.randn(3, 4), torch.randn(3))
    inputs = torch.randn(5, 4)
    torch.testing.assert_close(head.divided(2.0)(inputs), head(inputs) / 2)
