"""Functions of tensors on a GPU: compiled, and replayed as CUDA graphs; on a CPU they run as they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

P = ParamSpec("P")
R = TypeVar("R")

VARIANTS = 64
"""Most variants of a function that are compiled: one a kind of student, and of a number that is one."""


def compiled(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """The function, compiled on a GPU; attention is that of CUTLASS there.

    That one takes a mask and heads of 32, where cuDNN's is slower and flash attention refuses.
    """
    if device.type != "cuda":
        return function
    fast = _compile(function)

    def run(*args: P.args, **named: P.kwargs) -> R:
        for each in args:
            _free_shape(each)
        with ExitStack() as stack:
            stack.enter_context(sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]))
            stack.enter_context(torch._dynamo.config.patch(recompile_limit=VARIANTS))
            result: R = fast(*args, **named)
        return result

    return run


@cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)


def _free_shape(given: object) -> None:
    """Let one compilation serve all sizes of the first axes of tensors, and of the last one of token ids.

    What is left are the widths of the student, which make the faster code as constants.
    """
    if isinstance(given, Tensor):
        for axis in range(given.ndim if given.dtype == torch.int32 else min(given.ndim, 2)):
            torch._dynamo.maybe_mark_dynamic(given, axis)
    elif isinstance(given, list | tuple):
        for each in given:
            _free_shape(each)
    elif is_dataclass(given) and not isinstance(given, type):
        for field in fields(given):
            _free_shape(getattr(given, field.name))


class Replay:
    """A function of tensors, captured as a CUDA graph once for each shape.

    The first call with a shape runs the function, which compiles it and allocates what libraries need. The second one
    captures it, and from then on the graph is replayed: one launch for all kernels. Nothing in the function may wait
    for the device. On a CPU each call runs the function.

    Args:
        function: takes tensors, then numbers; returns tensors. What else it reads or writes has to stay where it is.
        device: where the tensors are.
        pool: of the graphs' memory; those that share one may not run at the same time.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], device: torch.device, pool: Any) -> None:
        self.function, self.device, self.pool = function, device, pool
        self.inputs: dict[Any, list[Tensor]] = {}
        self.graphs: dict[Any, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = {}

    def __call__(self, *given: Tensor, **numbers: int) -> tuple[Tensor, ...]:
        """The function's results, which later calls leave alone."""
        if self.device.type != "cuda":
            return self.function(*given, **numbers)
        key = (tuple(each.shape for each in given), tuple(numbers.values()))
        if key not in self.inputs:
            self.inputs[key] = [torch.empty_like(each, memory_format=torch.contiguous_format) for each in given]
            self._fill(key, given)
            return self.function(*self.inputs[key], **numbers)
        if key not in self.graphs:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                results = self.function(*self.inputs[key], **numbers)
            self.graphs[key] = graph, results
        graph, results = self.graphs[key]
        self._fill(key, given)
        graph.replay()
        return tuple(each.clone() for each in results)

    def _fill(self, key: Any, given: tuple[Tensor, ...]) -> None:
        for own, each in zip(self.inputs[key], given, strict=True):
            own.copy_(each)


def new_pool(device: torch.device) -> Any:
    """Memory that several graphs share; None on a CPU."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None
