"""What stays the same in every episode of an environment: the prepared texts as tensors on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.augment.importance import Pieces, cross_entropy_difference, log_importance
from l2a_gym.distill.batched import BatchedStudents
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Labelled, Taught
from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.students import Students, ThreadedStudents
from l2a_gym.envs.observation import DYNAMIC
from l2a_gym.preparation.layer_features import teacher_features
from l2a_gym.preparation.store import TEACHERS, Prepared


@dataclass(frozen=True)
class World:
    """The fixed part of an environment; n candidates, F columns, D domains, G = D x O groups.

    Attributes:
        prepared: where it all comes from.
        teacher: which of the two teaches.
        texts: the candidates, then the target's shots, with the teacher's logits.
        dev: the target's dev split.
        candidates: n, rows from there on are shots.
        usable: rows of the candidates that the pool's label policy lets be shown.
        static: (n, F) float32 columns; those that the student changes are zero.
        domain: (n,) index of each candidate's domain.
        operator: (n,) index of each candidate's operator.
        group: (n,) index of each candidate's domain x operator, domain-major.
        groups: (G,) row lists, one a group; some are empty.
        sizes: (D,) share of the candidates, by domain.
        made: (O,) the same by operator.
        distance: (D,) of each domain to the target.
    """

    prepared: Prepared
    teacher: str
    texts: Taught
    dev: Labelled
    candidates: int
    usable: NDArray[np.int64]
    static: Tensor
    domain: Tensor
    operator: Tensor
    group: NDArray[np.int64]
    groups: list[NDArray[np.int64]]
    sizes: NDArray[np.float32]
    made: NDArray[np.float32]
    distance: NDArray[np.float32]

    def new_students(self, config: Distillation, number: int, batched: bool, precision: torch.dtype) -> Students:
        """A number of students at their start.

        Args:
            config: how they learn; losses between layers need the teacher's features.
            number: E.
            batched: whether they are one batch, which knows no losses between layers, or learn in threads.
            precision: of their activations.

        Raises:
            UserError: the student's and the teacher's layers can't be matched.
        """
        prepared = self.prepared
        if batched:
            return BatchedStudents(prepared.student(), number, self.texts, self.dev.tokens, config, precision)
        device, shape = self.texts.label.device, prepared.student().config
        features = teacher_features(prepared, self.teacher, config, shape, device)
        each = [Distiller(prepared.student(), self.texts, config, features, precision) for _ in range(number)]
        return ThreadedStudents(each, self.dev.tokens)


def load_world(
    prepared: Prepared, teacher: str, features: Sequence[str], domains: int, operators: int, device: torch.device
) -> World:
    """Put a prepared task on a device. The test and select splits stay on disk."""
    rows = slice(0, prepared.rows["train"].stop)
    pool = prepared.rows["pool"]
    domain, operator = (np.array(prepared.array(f"signals/{name}")) for name in ("domain", "operator"))
    usable = np.flatnonzero(prepared.array("signals/usable"))
    group = domain * operators + operator
    return World(
        prepared=prepared,
        teacher=teacher,
        texts=prepared.taught(rows, teacher).to(device),
        dev=prepared.labelled(prepared.rows["dev"]).to(device),
        candidates=pool.stop,
        usable=usable,
        static=_static(prepared, teacher, features, domains, operators).to(device),
        domain=torch.from_numpy(domain).to(device),
        operator=torch.from_numpy(operator).to(device),
        group=group,
        groups=[usable[group[usable] == g] for g in range(domains * operators)],
        sizes=_shares(domain[usable], domains),
        made=_shares(operator[usable], operators),
        distance=prepared.array("signals/distance").astype(np.float32).clip(0, 2),
    )


def _shares(group: NDArray[np.int64], groups: int) -> NDArray[np.float32]:
    return (np.bincount(group, minlength=groups) / len(group)).astype(np.float32)


def _static(prepared: Prepared, teacher: str, features: Sequence[str], domains: int, operators: int) -> Tensor:
    """The columns that no student changes, by the formulas of ``observation.FEATURES``."""
    pool = prepared.rows["pool"]
    label, tokens = prepared.labels(pool), prepared.tokens(pool)
    probability = {name: prepared.logits(name, pool).softmax(1) for name in TEACHERS}
    given = {name: p.gather(1, label[:, None])[:, 0] for name, p in probability.items()}
    teaches = probability[teacher]

    def signal(name: str) -> Tensor:
        return torch.from_numpy(np.array(prepared.array(f"signals/{name}")))

    def against_shots(score: Callable[[Pieces, Pieces], NDArray[np.float64]]) -> Tensor:
        shots = prepared.tokens(prepared.rows["train"])
        x = score(*(Pieces(each.ids.numpy(), each.length.numpy()) for each in (tokens, shots)))
        return torch.nn.functional.softsign(torch.from_numpy(x))

    columns = {
        "domain": lambda: torch.nn.functional.one_hot(signal("domain"), domains),
        "operator": lambda: torch.nn.functional.one_hot(signal("operator"), operators),
        "few_shot_label": lambda: given["few-shot"],
        "all_data_label": lambda: given["all-data"],
        "teacher_confidence": lambda: teaches.max(1).values,
        "teacher_entropy": lambda: entropy(teaches),
        "similarity": lambda: signal("similarity"),
        "domain_log_odds": lambda: torch.tanh(signal("log_odds") / 4),
        "length": lambda: tokens.length / tokens.ids.shape[1],
        "edit_share": lambda: signal("edit_share"),
        "importance": lambda: against_shots(log_importance),
        "cross_entropy_difference": lambda: against_shots(cross_entropy_difference),
        "clean": lambda: ~signal("flipped"),
    } | {name: lambda: torch.zeros(len(label)) for name in DYNAMIC}
    return torch.cat([columns[name]().float().reshape(len(label), -1) for name in features], dim=1)


def entropy(probability: Tensor) -> Tensor:
    """Entropy of rows (..., C) over its largest value ln C, in [0, 1]."""
    return torch.special.entr(probability).sum(-1) / log(probability.shape[-1])
