"""Student updates: many students at a time against one after another, and their arithmetic against the machine's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.crew import Crew
from l2a_gym.envs.world import World
from l2a_gym.speed.clock import Figures, interleave

CHOSEN = 64
"""Candidates of an update."""
SIDE = 2048
"""Rows and columns of the matrices whose product is the machine's peak."""


class Practice:
    """Updates of E students on fixed candidates.

    Args:
        world: the texts.
        config: how students learn.
        crew: the students.
        updates: that a call takes.
    """

    def __init__(self, world: World, config: Distillation, crew: Crew, updates: int) -> None:
        random, students = np.random.default_rng(0), len(crew.seats)
        rows = random.integers(0, world.candidates, (students, updates * CHOSEN))
        anchors = random.integers(world.candidates, len(world.texts.label), (students, updates * config.anchors))
        self.crew, self.updates = crew, updates
        self.rows, self.anchors = (torch.from_numpy(each).to(crew.device) for each in (rows, anchors))
        self.weights = torch.ones(rows.shape, device=crew.device)

    def together(self) -> list[float]:
        """All students at a time; their losses."""
        return self.crew.step(self.rows, self.weights, self.anchors, self.updates, [1.0] * len(self.rows))

    def in_turn(self, alone: Crew) -> list[float]:
        """The same work by one student, once for each."""
        ones = [slice(i, i + 1) for i in range(len(self.rows))]
        return [
            alone.step(self.rows[one], self.weights[one], self.anchors[one], self.updates, [1.0])[0] for one in ones
        ]

    def arithmetic(self) -> int:
        """Floating-point operations of the products of matrices in :meth:`together`."""
        # The counter knows no fused attention on a CPU, and sees the calling thread alone.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            for each, part in zip(self.crew.distillers, self.crew.parts, strict=True):
                rates = [1.0] * len(each.students)
                each.step(self.rows[part], self.weights[part], self.anchors[part], self.updates, rates)
        return counter.get_total_flops()


def stacked(world: World, config: Distillation, numbers: tuple[int, ...], repeats: int) -> Figures:
    """Seconds of E students in turn over E at a time.

    Returns:
        ``stacked_ratio``: E -> the ratio's median; ``student_updates_per_second``: E -> of all at a time.
    """
    alone = world.new_crew(config)
    ratios, speeds = {}, {}
    for number in numbers:
        practice = Practice(world, config, world.new_crew(config, number), updates=1)
        calls: list[Callable[[], object]] = [practice.together, partial(practice.in_turn, alone)]
        together, in_turn = interleave(calls, repeats, alone.device, name=f"{number} students").T
        ratios[str(number)] = float(np.median(in_turn / together))
        speeds[str(number)] = number / float(np.median(together))
    return {"stacked_ratio": ratios, "student_updates_per_second": speeds}


def peak(world: World, config: Distillation, students: int, repeats: int) -> Figures:
    """The arithmetic of updates over that of a large product of matrices, both in float32, in the same time.

    What counts is what the update's products need, forward and backward: no padding but within attention.

    Returns:
        ``peak_share``, ``peak_gflops`` of the product and ``update_gflops``.
    """
    practice = Practice(world, config, world.new_crew(config, students), updates=1)
    device = practice.crew.device
    operations = practice.arithmetic()
    one, two = torch.randn(2, SIDE, SIDE, device=device)
    calls: list[Callable[[], object]] = [partial(torch.mm, one, two), practice.together]
    product, update = interleave(calls, repeats, device, name="peak").T
    share = operations / update / (2 * SIDE**3 / product)
    return {
        "peak_share": float(np.median(share)),
        "peak_gflops": 2e-9 * SIDE**3 / float(np.median(product)),
        "update_gflops": 1e-9 * operations / float(np.median(update)),
    }
