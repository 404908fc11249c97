"""Exact metagradients: how the dev loss after a training changes with the weight of each text of each update.

Reverse mode through all updates, one at a time (Maclaurin et al., 2015; Engstrom et al., 2025): the training keeps the
parameters and moments of each update, and the way back builds the graph of one update after the other. At learning
rate r, with bias corrections b1 and b2, AdamW takes parameters p and moments m, v by the clipped gradient c to

    m' = B1 m + (1 - B1) c      v' = B2 v + (1 - B2) c^2      d = sqrt(v' / b2) + EPS
    p' = (1 - r * decay) p - r m' / (b1 d)

Let dx be the derivative of the dev loss by x. The way back is

    dm' -= r dp' / (b1 d)       dv' += r dp' m' / (b1 d^2) / (2 sqrt(b2 v'))      (0 where v' = 0, as m' = 0 there)
    dc = (1 - B1) dm' + 2 (1 - B2) c dv'      dm = B1 dm'      dv = B2 dv'
    dp = (1 - r * decay) dp' + <dc, c>'(p)    dw = <dc, c>'(w)

where automatic differentiation of c, a gradient itself, gives the derivatives of <dc, c> by p and by the weights w.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from l2a_gym.distill.adamw import BETAS, EPS
from l2a_gym.distill.data import Labelled
from l2a_gym.distill.distiller import Distiller

DEV_BATCH = 64
"""Dev texts in a pass."""


@dataclass(frozen=True)
class Update:
    """An update that was taken; P parameters learn.

    Attributes:
        rows: (n,) its texts, candidates first.
        weights: (m,) of the candidates.
        alphas: (m,) of these, or None.
        rate: learning rate.
        before: (P,) parameters before it.
        first: (P,) AdamW's means of their gradients after it.
        second: (P,) the means of the squares after it.
    """

    rows: Tensor
    weights: Tensor
    alphas: Tensor | None
    rate: float
    before: Tensor
    first: Tensor
    second: Tensor


class TapedDistiller(Distiller):
    """A distiller that remembers its updates and can go back through them; each keeps three copies of the parameters.

    Its arguments are those of a :class:`Distiller`.
    """

    def reset(self, head_seed: int) -> None:
        """See :meth:`Distiller.reset`; the updates so far are forgotten."""
        super().reset(head_seed)
        self._tape: list[Update] = []
        self._orders: list[Tensor] = []

    def step(
        self,
        rows: Tensor,
        weights: Tensor,
        anchors: Tensor,
        updates: int,
        rate: float = 1.0,
        alphas: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`Distiller.step`."""
        self._orders.append(self._by_length(rows))
        return super().step(rows, weights, anchors, updates, rate, alphas)

    def _update(self, rows: Tensor, weights: Tensor, alphas: Tensor | None) -> Tensor:
        before = {each: each.detach().clone() for each in self.student.parameters()}
        loss = super()._update(rows, weights, alphas)
        parts = [[before[each], state["exp_avg"], state["exp_avg_sq"]] for each, state in self.optimizer.state.items()]
        vectors = (parameters_to_vector(each) for each in zip(*parts, strict=True))
        self._tape.append(Update(rows, weights, alphas, self.optimizer.param_groups[0]["lr"], *vectors))
        return loss

    def metagradient(self, dev: Labelled) -> Tensor:
        """d(mean cross-entropy on dev) / d(weight) of each candidate in each step since the reset, (T, N).

        Needs at least one step. Not finite where the student diverged.
        """
        learnt = list(self.optimizer.state)  # parameters without a gradient have no state
        end = parameters_to_vector(learnt).detach().clone()
        with sdpa_kernel(SDPBackend.MATH):  # the attention that has second derivatives
            parts = self._sweep(learnt, self._dev_gradient(learnt, dev))
        vector_to_parameters(end, learnt)
        steps = torch.cat(parts[::-1]).view(len(self._orders), -1)
        return torch.empty_like(steps).scatter_(1, torch.stack(self._orders), steps)

    def _dev_gradient(self, learnt: list[Tensor], dev: Labelled) -> Tensor:
        total = torch.zeros_like(self._tape[-1].before)
        for rows in dev.tokens.length.argsort(stable=True).split(DEV_BATCH):
            logits = self._forward(dev.tokens.take(rows)).logits
            loss = F.cross_entropy(logits, dev.label[rows], reduction="sum") / len(dev.label)
            total += parameters_to_vector(torch.autograd.grad(loss, learnt))
        return total

    def _sweep(self, learnt: list[Tensor], by_parameter: Tensor) -> list[Tensor]:
        """Derivatives by the candidates' weights of each update, the last update first.

        Args:
            learnt: the parameters that learn.
            by_parameter: (P,) derivatives by them after the last update.
        """
        by_first, by_second, found = torch.zeros_like(by_parameter), torch.zeros_like(by_parameter), []
        for number, update in reversed([*enumerate(self._tape, start=1)]):
            vector_to_parameters(update.before, learnt)
            weights = update.weights.clone().requires_grad_()
            clipped = self._clipped(learnt, self._loss(update.rows, weights, update.alphas))
            correct_first, correct_second = (1 - beta**number for beta in BETAS)
            root = (update.second / correct_second).sqrt()
            slope = update.rate * by_parameter / correct_first / (root + EPS)
            by_first = by_first - slope
            by_root = torch.where(root > 0, slope * update.first / (root + EPS) / root, 0)
            by_second = by_second + by_root / (2 * correct_second)
            by_clipped = (1 - BETAS[0]) * by_first + 2 * (1 - BETAS[1]) * clipped.detach() * by_second
            *second_order, by_weight = torch.autograd.grad(clipped, [*learnt, weights], by_clipped)
            decay = 1 - update.rate * self.config.weight_decay
            by_parameter = decay * by_parameter + parameters_to_vector(second_order)
            by_first, by_second = BETAS[0] * by_first, BETAS[1] * by_second
            found.append(by_weight)
        return found

    def _clipped(self, learnt: list[Tensor], loss: Tensor) -> Tensor:
        """The clipped gradient (P,) of an update's loss, with the graph that led to it."""
        gradient = parameters_to_vector(torch.autograd.grad(loss, learnt, create_graph=True))
        return gradient * (self.config.clip / (gradient.norm() + 1e-6)).clamp(max=1)
