"""Many students at a time: as one batch on a GPU, each in a thread of its own on a CPU.

A GPU wants one wide product for all. On a CPU the activations of a wide one leave the caches, while a student that
keeps to one thread waits for no other thread within an update, and its activations stay near.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Outputs

T = TypeVar("T")
Integers = NDArray[np.int64]

ENGINES = ("auto", "batched", "threads")
"""How students are kept: ``auto`` is one batch on a GPU, threads on a CPU."""


class Students(Protocol):
    """E students with the same texts and settings.

    Attributes:
        number: E.
        device: where they learn.
    """

    number: int
    device: torch.device

    def reset(self, which: Sequence[int], head_seeds: Sequence[int]) -> None:
        """Some students back to their start, each with a classifier drawn from its seed."""

    def load(self, student: PreTrainedModel, i: int) -> None:
        """Student i takes the weights of another."""

    def step(
        self,
        rows: Integers,
        weights: Tensor,
        anchors: Integers,
        updates: int,
        rates: NDArray[np.float64],
        alphas: Tensor | None = None,
    ) -> Tensor:
        """Take gradient steps, see :meth:`Distiller.step`.

        Args:
            rows: (E, N) candidates of each student.
            weights: (E, N) of these, on the device.
            anchors: (E, A) of each student.
            updates: K, divides N.
            rates: (E,) factors of the learning rate.
            alphas: (E, N) of the candidates, on the device, or None.

        Returns:
            Each student's mean loss (E,), on the device.
        """
        ...

    def forward(self, rows: Integers, anchors: Integers, updates: int) -> Outputs:
        """Outputs (E, N, ·) on the candidates of the next step."""
        ...

    def dev_pass(self) -> Outputs:
        """Outputs (E, n, ·) on dev."""
        ...

    def outputs(self, tokens: Tokens) -> Outputs:
        """Outputs (E, n, ·) on other texts, the same for all."""
        ...

    def student(self, i: int) -> PreTrainedModel:
        """Student i as it is now."""
        ...

    def state(self, i: int) -> dict[str, Any]:
        """A copy of what learning changes in student i."""
        ...

    def restore(self, state: dict[str, Any], i: int) -> None:
        """Student i back to a state."""


class ThreadedStudents:
    """E distillers that work at the same time, each in a thread.

    Args:
        distillers: with the same texts and settings.
        dev: the texts of a dev pass.
    """

    def __init__(self, distillers: Sequence[Distiller], dev: Tokens) -> None:
        self.distillers, self.dev = list(distillers), dev
        self.number, self.device = len(self.distillers), self.distillers[0].device
        workers = min(self.number, torch.get_num_threads())
        self.workers = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))

    def _each(self, task: Callable[[Distiller, int], T]) -> list[T]:
        """A task's results of all students; a single one has all threads of the machine."""
        if self.number == 1:
            return [task(self.distillers[0], 0)]
        return list(self.workers.map(task, self.distillers, range(self.number)))

    def reset(self, which: Sequence[int], head_seeds: Sequence[int]) -> None:
        """See :meth:`Distiller.reset`."""
        for i, seed in zip(which, head_seeds, strict=True):
            self.distillers[i].reset(seed)

    def load(self, student: PreTrainedModel, i: int) -> None:
        """See :meth:`Distiller.load`."""
        self.distillers[i].load(student)

    def step(
        self,
        rows: Integers,
        weights: Tensor,
        anchors: Integers,
        updates: int,
        rates: NDArray[np.float64],
        alphas: Tensor | None = None,
    ) -> Tensor:
        """See :meth:`Distiller.step`."""
        chosen, shots = self._tensor(rows), self._tensor(anchors)
        own = [None] * self.number if alphas is None else alphas
        return torch.stack(
            self._each(lambda each, i: each.step(chosen[i], weights[i], shots[i], updates, rates[i], own[i]))
        )

    def forward(self, rows: Integers, anchors: Integers, updates: int) -> Outputs:
        """See :meth:`Distiller.forward`."""
        chosen, shots = self._tensor(rows), self._tensor(anchors)
        return Outputs.stack(self._each(lambda each, i: each.forward(chosen[i], shots[i], updates)))

    def dev_pass(self) -> Outputs:
        """See :meth:`Distiller.outputs`."""
        return self.outputs(self.dev)

    def outputs(self, tokens: Tokens) -> Outputs:
        """See :meth:`Distiller.outputs`."""
        return Outputs.stack(self._each(lambda each, _: each.outputs(tokens)))

    def student(self, i: int) -> PreTrainedModel:
        """Student i."""
        return self.distillers[i].student

    def state(self, i: int) -> dict[str, Any]:
        """See :meth:`Distiller.state`."""
        return self.distillers[i].state()

    def restore(self, state: dict[str, Any], i: int) -> None:
        """See :meth:`Distiller.restore`."""
        self.distillers[i].restore(state)

    def _tensor(self, array: Integers) -> Tensor:
        return torch.from_numpy(array).to(self.device)
