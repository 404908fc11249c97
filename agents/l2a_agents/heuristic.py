"""Published ways to choose data, as rules of one column that need no training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_agents.selector import Action, Fixed, Observation, Spaces

Floats = NDArray[np.floating[Any]]


def keep(score: Floats, number: int) -> Action:
    """Weight 1 for so many of the highest scores, 0 for the rest; ties go to the first."""
    action = np.zeros(len(score), dtype=np.float32)
    action[np.argsort(-score, kind="stable")[:number]] = 1
    return action


class OneColumn(Fixed):
    """A selector that looks at one of the candidates' columns."""

    column: str

    def values(self, observation: Observation) -> NDArray[np.float64]:
        """The column, (..., N)."""
        return observation["candidates"][..., self.spaces.column(self.column)].astype(np.float64)


class TopShare(OneColumn):
    """Keep the share of the shown candidates that is highest in one column, or lowest with ``sign`` -1."""

    share: float
    sign = 1

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones for the highest, zeros for the rest; ties go to the first."""
        values = self.sign * self.values(observation)
        return keep(values, round(self.share * len(values)))


class TeacherConfidence(TopShare):
    """The half that the teacher is surest of."""

    column, share = "teacher_confidence", 0.5


class Similarity(TopShare):
    """The quarter that is most like the target."""

    column, share = "similarity", 0.25


class MooreLewis(TopShare):
    """The half with the lowest H(text; shots) - H(text; pool), H the cross-entropy per piece under a language model.

    Moore and Lewis (2010), "Intelligent selection of language model training data".
    """

    env_options: Mapping[str, Any] = {"features": ["cross_entropy_difference"]}
    column, share, sign = "cross_entropy_difference", 0.5, -1


class MaxKL(TopShare):
    """The half with the largest KL(teacher || student): what the student knows least of.

    After Glitter (Kamalloo et al., 2022, "When chosen wisely, more data is what you need"), which takes, of the copies
    of each text, those with the largest distillation loss; here it is the candidates shown.
    """

    column, share = "kl", 0.5


class DSIR(OneColumn):
    """Half of the candidates, resampled by importance without repetition (Gumbel top-k).

    Xie et al. (2023), "Data selection for language models via importance resampling". With x the text's log importance
    ratio per n-gram, z = (x - mean) / deviation over the candidates shown and g ~ Gumbel(0, 1):

        keep the N / 2 largest of SPREAD * z + g

    that is, one after the other with probabilities in proportion to exp(SPREAD * z). DSIR sums x over the text, which
    favours or drops long texts more; here all have the spread that a sentence's sum has. The draws are the same in
    every episode.
    """

    SPREAD = 4.0

    env_options: Mapping[str, Any] = {"features": ["importance"]}
    column = "importance"

    def __init__(self, spaces: Spaces) -> None:
        super().__init__(spaces)
        self.random = np.random.default_rng(0)

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones for the half that was drawn, zeros for the rest."""
        if self.spaces.begins(observation):
            self.random = np.random.default_rng(0)
        shown = self.values(observation)
        x = shown / np.maximum(1 - np.abs(shown), 1e-6)  # the column is x / (1 + |x|)
        z = (x - x.mean()) / max(float(x.std()), 1e-6)
        return keep(self.SPREAD * z + self.random.gumbel(size=len(z)), len(z) // 2)


class Prototype(OneColumn):
    """Weights that rise with the cosine s of a text's vector and the target's mean vector, its prototype.

        w = exp((s - max s) / TEMPERATURE)

    The softmax over the candidates shown, scaled to a largest weight of 1, as prototypical networks (Snell et al.,
    2017) weigh classes.
    """

    TEMPERATURE = 0.2

    column = "similarity"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights in (0, 1]."""
        similarity = self.values(observation)
        return np.exp((similarity - similarity.max()) / self.TEMPERATURE).astype(np.float32)


class LossCurriculum(OneColumn):
    """Self-paced learning: the candidates with the lowest student loss, and more of them from step to step.

    Kumar et al. (2010), "Self-paced learning for latent variable models". In step t of T the share kept is

        (1 + 2 t / T) / 3
    """

    column = "student_loss"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones for the easiest, zeros for the rest."""
        loss = self.values(observation)
        share = (1 + 2 * self.spaces.progress(observation["student"])) / 3
        return keep(-loss, round(share * len(loss)))


def el2n(student_loss: Floats) -> NDArray[np.float64]:
    """Norm of probabilities less the one-hot label, from the column ``student_loss``, l = x / (1 + x).

    x = l / (1 - l) is the cross-entropy, so the label has p = exp(-x), and the norm is sqrt(2) (1 - p): exactly for two
    classes; for more it is the largest that it can be.
    """
    loss = student_loss.astype(np.float64)
    return -np.sqrt(2) * np.expm1(-loss / np.maximum(1 - loss, 1e-9))


class EL2N(OneColumn):
    """The middle half by EL2N score: the hardest quarter is likely noise, the easiest has little to teach.

    Paul et al. (2021), "Deep learning on a data diet": the score is ‖p - y‖, p the student's probabilities and y the
    one-hot label; they prune the lowest scores and, where labels are noisy, the very highest. They take the mean of
    several models early in training; here it is the student as it is.
    """

    column = "student_loss"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Ones for the middle half, zeros for the rest."""
        score = el2n(self.values(observation))
        quarter = round(len(score) / 4)
        return keep(score, len(score) - quarter) - keep(score, quarter)


class MetaGradient(OneColumn):
    """Weights by how far a text's gradient points along that of the dev loss.

    After Ren et al. (2018), "Learning to reweight examples for robust deep learning": a gradient step of the weights,
    from zero, on the held-out loss gives, scaled to a largest weight of 1,

        w = max(0, a) / max a,   a = cosine of the text's and the dev set's gradient

    or 1 for all where no a is positive. Their a is the inner product of all parameters' gradients; that of the column
    ``agreement`` is the cosine at the last layer. Through it the selector uses the dev labels in every step.
    """

    column = "agreement"

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        """Weights in [0, 1]."""
        along = np.maximum(self.values(observation), 0)
        best = along.max()
        return (along / best if best > 0 else np.ones(len(along))).astype(np.float32)
