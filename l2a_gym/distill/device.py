"""Where the arithmetic runs, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from l2a_gym.errors import UserError, check_device


def resolve_device(name: str) -> torch.device:
    """The device of ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<i>``.

    Raises:
        UserError: for another name, or a GPU that is not there.
    """
    check_device(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {name!r} is not there: this machine has {torch.cuda.device_count()} GPUs; use auto or cpu"
        )
    return torch.device(name)


PRECISIONS = ("auto", "float32", "bfloat16")
"""What a student's precision can be."""


def teacher_precision(device: torch.device) -> torch.autocast:
    """Autocast for wide models: bfloat16 where the processor multiplies it faster than float32, else float32."""
    return autocast(device, torch.bfloat16 if _fast_bfloat16(device) else torch.float32)


def student_precision(device: torch.device, name: str = "auto") -> torch.dtype:
    """The precision of students' activations; their weights are float32.

    ``auto`` is bfloat16 on a GPU that has it, and float32 on a CPU, where so small products lose more by conversion
    than they gain.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and _fast_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Products of matrices in bfloat16, where that is the precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def attention(device: torch.device) -> str:
    """The fastest attention of ``transformers`` for short texts: PyTorch's fused one is slow backwards on CPUs."""
    return "sdpa" if device.type == "cuda" else "eager"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: products of small students are no faster on more, and sums come out alike everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
