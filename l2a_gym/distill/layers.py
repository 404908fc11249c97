"""Which layers of a student and its teacher are matched, and what a BERT-like model computes in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from l2a_gym.distill.device import attention
from l2a_gym.errors import UserError, check_choice

Pairs = Mapping[str, tuple[tuple[int, int], ...]]
"""Name of a loss -> the (student layer, teacher layer) pairs that it compares; 0 is the embedding, then from 1."""

Layers = Mapping[str, tuple[int, ...]]
"""Name of a loss -> the layers of one model that it looks at."""

States = dict[str, list[Tensor]]
"""Name of a loss -> what it looks at, one tensor a layer; see :func:`states`."""

LAYER_MAPS = {
    "uniform": "the teacher's number must be a multiple of the student's",
    "skip": "the teacher's number must be a multiple of the student's, which must be 2 or more",
    "last": "the teacher must have as many as the student, or more",
}
"""The names of layer maps, and what they ask for."""

TOKEN_AXES = {"hidden": 1, "attention": 2, "embedding": 1, "patience": 0, "relation": 1}
"""Name of a loss -> how many axes of length T its states have, after the first axis (texts); the rest is width."""

_MAPPED = ("hidden", "attention", "patience")
_VALUES = ("value", "v_lin", "v", "value_proj")
"""What the families of BERT (BERT, DistilBERT, MPNet, DeBERTa) call the projection to an attention's values."""


def layer_map(name: str, student_layers: int, teacher_layers: int) -> tuple[tuple[int, int], ...]:
    """Pairs of a student's and a teacher's layers, counted from 1, by the name of a map.

    With M student and N teacher layers, ``uniform`` is i -> i N / M (Jiao et al., 2020), ``skip`` the same without the
    last layer, which is left to the soft targets (Sun et al., 2019), and ``last`` is i -> N - M + i.

    Raises:
        UserError: an unknown name, or numbers of layers that the map can't match.
    """
    check_choice("layer_map", name, LAYER_MAPS)
    pairs = _pairs(name, student_layers, teacher_layers)
    if pairs:
        return pairs
    valid = [f"layer_map = {other!r}" for other in LAYER_MAPS if _pairs(other, student_layers, teacher_layers)]
    counts = [m for m in range(1, teacher_layers + 1) if _pairs(name, m, teacher_layers)]
    valid += [f"student layers = {min(counts, key=lambda m: abs(m - student_layers))}"] if counts else []
    raise UserError(
        f"layer_map = {name!r} can't match student layers = {student_layers} to teacher layers = {teacher_layers}: "
        f"{LAYER_MAPS[name]}; valid are {', '.join(valid) or ' = '.join([*_MAPPED, '0'])}"
    )


def _pairs(name: str, m: int, n: int) -> tuple[tuple[int, int], ...]:
    """The pairs of a known map, none where it can't match m layers to n."""
    if name == "last":
        return tuple((i, n - m + i) for i in range(1, m + 1)) if m <= n else ()
    last = m if name == "uniform" else m - 1
    return tuple((i, i * n // m) for i in range(1, last + 1)) if n % m == 0 else ()


def match_layers(losses: Iterable[str], name: str, student: PreTrainedConfig, teacher: PreTrainedConfig) -> Pairs:
    """The layers that each loss compares, by the configurations of both models.

    ``hidden``, ``attention`` and ``patience`` follow the map ``name``; ``embedding`` compares the embeddings' outputs,
    ``relation`` the last layers.

    Raises:
        UserError: numbers of layers that the map can't match, or a teacher that has no such relation heads.
    """
    m, n = student.num_hidden_layers, teacher.num_hidden_layers
    heads, width = student.num_attention_heads, teacher.hidden_size
    pairs: dict[str, tuple[tuple[int, int], ...]] = {}
    for loss in losses:
        if loss == "relation" and width % heads:
            raise UserError(
                f"relation: the teacher's width {width} can't be cut into the {heads} heads of the student; "
                "valid are students whose number of heads divides it, and relation = 0"
            )
        fixed = ((0, 0),) if loss == "embedding" else ((m, n),)
        pairs[loss] = layer_map(name, m, n) if loss in _MAPPED else fixed
    return pairs


def set_attention(model: PreTrainedModel, losses: Iterable[str], device: torch.device) -> None:
    """Choose the fastest attention that gives what the losses need: only ``eager`` gives its probabilities."""
    model.set_attn_implementation("eager" if "attention" in losses else attention(device))


def states(model: torch.nn.Module, inputs: Mapping[str, Tensor], layers: Layers) -> tuple[Any, States]:
    """One forward pass of a headless BERT-like model: its output, and what it computes in some layers.

    Args:
        model: without a head, its attention set by :func:`set_attention`.
        inputs: its arguments: n texts padded to T tokens.
        layers: what to keep; nothing costs nothing.

    Returns:
        The model's output, and float32 states by loss: ``hidden`` and ``embedding`` (n, T, H), ``attention`` (n, T, T)
        the probabilities averaged over heads, ``patience`` (n, H) of the first token, ``relation`` (n, T, H) the values
        of the last layer.

    Raises:
        UserError: ``relation``, and the model has no projection to values.
    """
    wanted = {}
    if layers.keys() & {"hidden", "embedding", "patience"}:
        wanted["output_hidden_states"] = True
    if "attention" in layers:
        wanted["output_attentions"] = True
    with _watched_values(model, "relation" in layers) as values:
        output = model(**inputs, **wanted)

    def state(loss: str, layer: int) -> Tensor:
        if loss == "relation":
            return values[-1].float()
        if loss == "attention":
            return output.attentions[layer - 1].float().mean(1)
        hidden = output.hidden_states[layer].float()
        return hidden[:, 0] if loss == "patience" else hidden

    return output, {loss: [state(loss, layer) for layer in numbers] for loss, numbers in layers.items()}


@contextmanager
def _watched_values(model: torch.nn.Module, wanted: bool) -> Iterator[list[Tensor]]:
    """Collect the outputs (n, T, H) of the last layer's projection to values."""
    values: list[Tensor] = []
    if not wanted:
        yield values
        return
    handle = value_projection(model).register_forward_hook(lambda module, given, output: values.append(output))
    try:
        yield values
    finally:
        handle.remove()


def value_projection(model: torch.nn.Module) -> torch.nn.Module:
    """The projection to values in the last layer's attention.

    Raises:
        UserError: there is none of its own.
    """
    found = [module for name, module in model.named_modules() if name.rpartition(".")[2] in _VALUES]
    if not found:
        raise UserError(f"relation: a {type(model).__name__} has no value projection of its own; valid is relation = 0")
    return found[-1]
