"""Names of devices, and the precision on each."""

from __future__ import annotations

import pytest
import torch

from l2a_gym.distill.device import attention, autocast, resolve_device, student_precision, teacher_precision
from l2a_gym.errors import UserError

GPUS = torch.cuda.device_count()
without_gpu = pytest.mark.skipif(GPUS > 0, reason="what is said where there is no GPU; this machine has one")
with_gpu = pytest.mark.skipif(GPUS == 0, reason="needs a GPU; this machine has none")


def test_cpu() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert resolve_device("auto").type == ("cuda" if GPUS else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cuda:-1", "mps", "CPU", "tpu:0"])
def test_unknown_name(name: str) -> None:
    with pytest.raises(UserError, match=r"^unknown device '.*': valid are auto, cpu, cuda and cuda:<i>$"):
        resolve_device(name)


@without_gpu
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_gpu_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match=f"^device '{name}' is not there: this machine has 0 GPUs; use auto or cpu$"):
        resolve_device(name)


@with_gpu
def test_gpu_by_number() -> None:
    assert resolve_device(f"cuda:{GPUS - 1}") == torch.device(f"cuda:{GPUS - 1}")
    with pytest.raises(UserError, match=f"this machine has {GPUS} GPUs"):
        resolve_device(f"cuda:{GPUS}")


@pytest.mark.parametrize("fast", [False, True])
def test_precision_on_a_cpu(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 for teachers where the processor is fast at it, never for students; parameters stay float32."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    device, layer = torch.device("cpu"), torch.nn.Linear(4, 4)
    with teacher_precision(device):
        output = layer(torch.ones(2, 4))
    assert output.dtype == (torch.bfloat16 if fast else torch.float32)
    output.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    assert student_precision(device) == student_precision(device, "float32") == torch.float32
    assert student_precision(device, "bfloat16") == torch.bfloat16
    for precision in (torch.float32, torch.bfloat16):
        with autocast(device, precision):
            assert layer(torch.ones(2, 4)).dtype == precision


def test_attention_is_one_that_transformers_knows() -> None:
    assert (attention(torch.device("cpu")), attention(torch.device("cuda"))) == ("eager", "sdpa")
