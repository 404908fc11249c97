"""Where the arithmetic runs, and in which precision."""

from __future__ import annotations

import torch

from l2a_gym.errors import UserError


def resolve_device(name: str) -> torch.device:
    """The device of ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:<i>``.

    Raises:
        UserError: for another name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise UserError(f"unknown device {name!r}: valid are auto, cpu, cuda and cuda:<i>")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device {name!r} is not there: this machine has {torch.cuda.device_count()} GPUs; use auto or cpu"
        )
    return torch.device(name)


def teacher_precision(device: torch.device) -> torch.autocast:
    """Autocast for wide models: bfloat16 where the processor multiplies it faster than float32, else float32."""
    return _autocast(device, _fast_bfloat16(device))


def student_precision(device: torch.device) -> torch.autocast:
    """Autocast for students: float32 on a CPU, where so small products lose more by conversion than they gain."""
    return _autocast(device, device.type == "cuda" and _fast_bfloat16(device))


def _autocast(device: torch.device, enabled: bool) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def attention(device: torch.device) -> str:
    """The fastest attention of ``transformers`` for short texts: PyTorch's fused one is slow backwards on CPUs."""
    return "sdpa" if device.type == "cuda" else "eager"
