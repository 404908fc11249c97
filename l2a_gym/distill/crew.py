"""Many students at a time: as one batched model on a GPU, as small ones in threads on a CPU.

A GPU wants one wide product for all. On a CPU the activations of a wide one leave the caches, while a student that
keeps to one thread waits for no other thread within an update, and its activations stay near.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Outputs

T = TypeVar("T")


def sizes(students: int, device: torch.device) -> list[int]:
    """How many students share a model, for each model: all on a GPU, each its own on a CPU."""
    return [students] if device.type == "cuda" else [1] * students


class Crew:
    """E students in one or several distillers; these work at the same time, each in a thread.

    Args:
        distillers: with the same texts and settings.
    """

    def __init__(self, distillers: Sequence[Distiller]) -> None:
        self.distillers = list(distillers)
        self.device = self.distillers[0].device
        bounds = [0, *accumulate(len(each.students) for each in self.distillers)]
        self.parts = [slice(*each) for each in pairwise(bounds)]
        self.seats = [(each, i) for each in self.distillers for i in range(len(each.students))]
        workers = min(len(self.distillers), torch.get_num_threads())
        self.workers = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))

    def _each(self, task: Callable[[Distiller, slice], list[T]]) -> list[T]:
        """A task's results of all students, in their order; a single distiller has all threads of the machine."""
        if len(self.distillers) == 1:
            return task(self.distillers[0], self.parts[0])
        return [one for found in self.workers.map(task, self.distillers, self.parts) for one in found]

    def reset(self, head_seed: int, i: int) -> None:
        """Student i back to its start, see :meth:`Distiller.reset`."""
        distiller, seat = self.seats[i]
        distiller.reset(head_seed, seat)

    def step(self, rows: Tensor, weights: Tensor, anchors: Tensor, updates: int, rates: Sequence[float]) -> list[float]:
        """Gradient steps of all students, see :meth:`Distiller.step`."""
        return self._each(lambda each, part: each.step(rows[part], weights[part], anchors[part], updates, rates[part]))

    def look(self, rows: Tensor, anchors: Tensor, updates: int) -> list[Outputs]:
        """Each student's outputs on its candidates, see :meth:`Distiller.look`."""
        return self._each(lambda each, part: each.look(rows[part], anchors[part], updates))

    def read(self, tokens: Tokens) -> list[Outputs]:
        """Each student's outputs on the same n texts."""
        return self._each(lambda each, _: each.read(tokens))

    def state(self, i: int) -> dict[str, Any]:
        """A copy of what learning changes in student i."""
        distiller, seat = self.seats[i]
        return distiller.state(seat)

    def restore(self, state: dict[str, Any], i: int) -> None:
        """Student i back to a :meth:`state`."""
        distiller, seat = self.seats[i]
        distiller.restore(state, seat)
