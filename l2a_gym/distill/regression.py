"""Linear heads by logistic regression: by the penalty that is best on dev, and cross-fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from l2a_gym.distill.best import Best

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
"""The values of C that a regression is fitted with, the strongest penalty first."""
FOLDS = 5
"""Parts that texts are cut into for cross-fitting."""
UNSEEN = -20.0
"""Logit of a class that a fold has nothing to learn from."""


@dataclass(frozen=True)
class Head:
    """A linear map to logits: weight (C, F) and bias (C,), float32 on the CPU."""

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Logits (n, C) of inputs (n, F)."""
        return F.linear(inputs, self.weight.to(inputs.device), self.bias.to(inputs.device))

    def divided(self, temperature: float) -> Head:
        """The same with logits divided by a temperature."""
        return Head(self.weight / temperature, self.bias / temperature)

    @staticmethod
    def mean(heads: Sequence[Head]) -> Head:
        """The head whose logits are the mean of those of several."""
        return Head(*(torch.stack(each).mean(0) for each in zip(*((h.weight, h.bias) for h in heads), strict=True)))


def fit(inputs: Tensor, label: Tensor, classes: int, c: float, weight: Tensor | None = None) -> Head:
    """A head by logistic regression with L2 penalty 1 / C.

    Args:
        inputs: (n, F).
        label: (n,) from 0 to ``classes`` - 1; a class that none of the texts has gets the logit :data:`UNSEEN`.
        classes: number of classes.
        c: C.
        weight: (n,) of each text's loss; None: all alike.
    """
    x, y = inputs.double().cpu().numpy(), label.cpu().numpy()
    fitted = LogisticRegression(C=c, max_iter=1000).fit(x, y, None if weight is None else weight.cpu().numpy())
    found = Head(*(torch.from_numpy(part).float() for part in (fitted.coef_, fitted.intercept_)))
    if len(found.bias) == 1:  # of two classes there is one row, the log-odds of the second
        found = Head(*(torch.cat([-part, part]) / 2 for part in (found.weight, found.bias)))
    head = Head(torch.zeros(classes, x.shape[1]), torch.full((classes,), UNSEEN))
    head.weight[fitted.classes_], head.bias[fitted.classes_] = found.weight, found.bias
    return head


def regression(train: Tensor, label: Tensor, dev: Tensor, dev_label: Tensor) -> Head:
    """A head fitted by logistic regression, with the penalty that is best on dev.

    Args:
        train: (n, F) inputs.
        label: (n,) from 0 to C - 1, each of them at least once.
        dev: (m, F).
        dev_label: (m,).
    """
    best: Best[Head] = Best(dev_label.cpu())
    for c in PENALTIES:
        head = fit(train, label, int(label.max()) + 1, c)
        if best.update(head(dev.cpu())):
            best.kept = head
    return best.kept


def cross_fit(
    inputs: Tensor,
    label: Tensor,
    weight: Tensor,
    measured: Tensor,
    *,
    classes: int,
    penalties: Sequence[float],
    seed: int,
) -> tuple[Tensor, Head]:
    """Logits of each text by a head that has not learnt from it, with the penalty that is best on some of the texts.

    Args:
        inputs: (n, F).
        label: (n,).
        weight: (n,) of each text's loss.
        measured: (m,) rows of the texts by whose logits C is chosen.
        classes: number of classes.
        penalties: values of C to choose from.
        seed: of the folds.

    Returns:
        Logits (n, C), and the mean of the folds' heads, for other texts.
    """
    folds = folds_of(label.cpu().numpy(), seed)
    best: Best[tuple[Tensor, Head]] = Best(label[measured].cpu())
    for c in penalties:
        logits, heads = torch.empty(len(label), classes), []
        for fold in range(FOLDS):
            learnt, left_out = (torch.from_numpy(np.flatnonzero(each)) for each in (folds != fold, folds == fold))
            heads.append(fit(inputs[learnt], label[learnt], classes, c, weight[learnt]))
            logits[left_out] = heads[-1](inputs[left_out].cpu())
        if best.update(logits[measured]):
            best.kept = logits, Head.mean(heads)
    return best.kept


def folds_of(label: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The fold (n,) of each text; every class is spread over the folds as evenly as can be."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xF01D]))
    order = rng.permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]  # class by class, by chance within
    fold = np.empty(len(label), dtype=np.int64)
    fold[order] = np.arange(len(label)) % FOLDS
    return fold
