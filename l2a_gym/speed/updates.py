"""Student updates: many students at a time against one after another, and their arithmetic against the machine's."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.device import student_precision
from l2a_gym.distill.students import Students
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World
from l2a_gym.speed.clock import Figures, interleave

CHOSEN = 64
"""Candidates of an update."""
COUNTED = 4
"""Students whose arithmetic is counted."""
SIDE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices whose product is the machine's peak, by the kind of the device."""
COPIED = 2**30
"""Values of the copy that measures a GPU's bandwidth."""
ADAMW_BYTES = 7 * 4
"""What AdamW moves for a parameter: weight and both moments, read and written, and the gradient, in float32."""


class Practice:
    """Updates of E students on fixed candidates.

    Args:
        world: the texts.
        config: how students learn.
        students: E.
        updates: that a call takes.
    """

    def __init__(self, world: World, config: Distillation, students: Students, updates: int) -> None:
        random, number, shots = np.random.default_rng(0), students.number, world.anchors("shots")
        self.rows = random.integers(0, world.candidates, (number, updates * CHOSEN))
        self.anchors = random.integers(shots.start, shots.stop, (number, updates * config.anchors))
        self.students, self.updates = students, updates
        self.weights = torch.ones(self.rows.shape, device=students.device)

    def together(self) -> Tensor:
        """All students at a time; their losses."""
        return self.students.step(self.rows, self.weights, self.anchors, self.updates, np.ones(len(self.rows)))

    def in_turn(self, alone: Students) -> Tensor:
        """The same work by one student, once for each."""
        return torch.cat([self._alone(alone, slice(i, i + 1)) for i in range(len(self.rows))])

    def _alone(self, alone: Students, one: slice) -> Tensor:
        return alone.step(self.rows[one], self.weights[one], self.anchors[one], self.updates, np.ones(1))

    def arithmetic(self, alone: Students) -> float:
        """Floating-point operations of the products of matrices in :meth:`together`, counted for the first students.

        Args:
            alone: one student, not compiled: the counter sees no compiled operation.
        """
        counted = min(COUNTED, len(self.rows))
        # The counter knows no fused attention on a CPU, and sees the calling thread alone.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            for one in range(counted):
                self._alone(alone, slice(one, one + 1))
        return counter.get_total_flops() * len(self.rows) / counted


def stacked(setup: Setup, world: World, numbers: Sequence[int], repeats: int) -> Figures:
    """Seconds of E students in turn over E at a time.

    Returns:
        ``stacked_ratio``: E -> the ratio's median; ``student_updates_per_second``: E -> of all at a time; on a GPU also
        ``threads_updates_per_second``, one student's with the engine ``threads``, and ``memory_gib``: E -> at the peak.
    """
    alone = setup.new_students(world, 1)
    ratios, speeds, memory = {}, {}, {}
    for number in numbers:
        _forget_peak(alone.device)
        practice = Practice(world, setup.distillation, setup.new_students(world, number), updates=1)
        calls: list[Callable[[], object]] = [practice.together, partial(practice.in_turn, alone)]
        together, in_turn = interleave(calls, repeats, alone.device, name=f"{number} students").T
        ratios[str(number)] = float(np.median(in_turn / together))
        speeds[str(number)] = number / float(np.median(together))
        memory[str(number)] = _peak_memory(alone.device)
        del practice, calls
    figures: Figures = {"stacked_ratio": ratios, "student_updates_per_second": speeds}
    if alone.device.type == "cuda":
        single = Practice(world, setup.distillation, _not_compiled(setup, world), updates=1)
        seconds = interleave([single.together], repeats, alone.device, name="one in a thread")
        figures |= {"threads_updates_per_second": 1 / float(np.median(seconds)), "memory_gib": memory}
    return figures


def _not_compiled(setup: Setup, world: World) -> Students:
    return Setup(replace(setup.arguments, engine="threads", precision="auto")).new_students(world, 1)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        gc.collect()  # graphs and the students that they belong to refer to each other
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def peak(setup: Setup, world: World, number: int, repeats: int) -> Figures:
    """The arithmetic of updates over that of a large product of matrices in the same precision and time.

    What counts is what the update's products need, forward and backward: no padding but within attention.

    Returns:
        ``peak_share``, ``peak_gflops`` of the product and ``update_gflops``; on a GPU also ``copy_gb_per_second`` (read
        and written) and ``optimizer_bandwidth_share``, what AdamW alone has to read and write over that.
    """
    practice = Practice(world, setup.distillation, setup.new_students(world, number), updates=1)
    device = practice.students.device
    operations, side = practice.arithmetic(_not_compiled(setup, world)), SIDE[device.type]
    one, two = torch.randn(2, side, side, device=device, dtype=student_precision(device))
    calls: list[Callable[[], object]] = [partial(torch.mm, one, two), practice.together]
    if device.type == "cuda":
        calls.append(partial(one.new_empty(COPIED).copy_, one.new_zeros(COPIED)))
    product, update, *copy = interleave(calls, repeats, device, name="peak").T
    share = operations / update / (2 * side**3 / product)
    figures: Figures = {
        "peak_share": float(np.median(share)),
        "peak_gflops": 2e-9 * side**3 / float(np.median(product)),
        "update_gflops": 1e-9 * operations / float(np.median(update)),
    }
    if copy:
        rate = 2 * COPIED * one.element_size() / copy[0]
        moved = number * world.prepared.manifest()["parameters"]["student"] * ADAMW_BYTES
        figures["copy_gb_per_second"] = 1e-9 * float(np.median(rate))
        figures["optimizer_bandwidth_share"] = float(np.median(moved / update / rate))
    return figures
