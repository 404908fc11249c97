"""The teacher's features of all texts that a student learns from, computed once and kept on disk in half precision."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from math import prod
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from l2a_gym.cache import cache_dir, damaged, locked, write_folder
from l2a_gym.distill.checkpoint import load_checkpoint
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.device import teacher_precision
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.layers import TOKEN_AXES, Layers, match_layers, set_attention, states, value_projection
from l2a_gym.distill.matching import Features, token_index
from l2a_gym.distill.student import PRESETS, student_config
from l2a_gym.errors import UserError
from l2a_gym.preparation.store import Prepared
from l2a_gym.progress import progress_bar

log = logging.getLogger(__name__)

FORMAT = 1
"""Rises whenever the same layers give other files."""
BATCH = 64

Shapes = dict[str, tuple[int, ...]]
"""Name of a file -> shape of its array."""


def check_layers(config: Distillation, student: str, checkpoint: str) -> None:
    """Check that the layers can be matched, before anything is prepared; only the checkpoint's configuration is read.

    Of the student ``ratio`` the layers are known after its preparation alone, so it is checked then.

    Raises:
        UserError: they can't, or there is no such checkpoint.
    """
    if not config.extra or student not in PRESETS:
        return
    teacher = load_checkpoint(AutoConfig, checkpoint)
    shape = student_config(student, vocabulary=1, classes=2, max_length=1, teacher_parameters=0, pad=0)
    match_layers(config.extra, config.layer_map, shape, teacher)


def teacher_features(
    prepared: Prepared, teacher: str, config: Distillation, student: PreTrainedConfig, device: torch.device
) -> Features:
    """A fine-tuned teacher's features of pool and train, for the losses that are on; written if they are not there.

    They lie in ``<cache>/features/<prepared folder>-<teacher>-<hash>/``, one file ``<loss>-<layer>.npy`` (float16) a
    loss and teacher layer; row i belongs to row i of the prepared arrays.

    Raises:
        UserError: the layers can't be matched, the teacher has no values for ``relation``, or the disk is too small.
    """
    if not config.extra:
        return Features()
    shape = AutoConfig.from_pretrained(prepared.folder / teacher / "model", trust_remote_code=False)
    pairs = match_layers(config.extra, config.layer_map, student, shape)
    layers = {loss: tuple(theirs for _, theirs in pairs[loss]) for loss in pairs}
    folder = cache_dir() / "features" / f"{prepared.folder.name}-{teacher}-{_key(prepared, teacher, layers)}"
    shapes = _shapes(prepared, layers, shape.hidden_size)
    with locked(folder):
        if damaged(folder, folder.name):
            if folder.exists():
                log.warning("%s is damaged: writing it again", folder)
            _write(folder, shapes, prepared, teacher, layers, device)
    arrays = {
        loss: [np.load(folder / _file(loss, layer), mmap_mode="r", allow_pickle=False) for layer in numbers]
        for loss, numbers in layers.items()
    }
    return Features(pairs, arrays)


def _file(loss: str, layer: int) -> str:
    return f"{loss}-{layer}.npy"


def _key(prepared: Prepared, teacher: str, layers: Layers) -> str:
    """Hash of what is cached: the layers, and the files of the teacher and of the tokens that it is asked for."""
    files = prepared.manifest()["files"]
    sources = {name: sha for name, sha in files.items() if name.startswith((f"{teacher}/model/", "tokens/"))}
    return hashlib.sha256(json.dumps([FORMAT, layers, sources], sort_keys=True).encode()).hexdigest()[:16]


def _shapes(prepared: Prepared, layers: Layers, width: int) -> Shapes:
    longest = prepared.array("tokens/ids").shape[1]

    def shape(loss: str) -> tuple[int, ...]:
        rest = [] if loss == "attention" else [width]
        return prepared.rows["train"].stop, *[longest] * TOKEN_AXES[loss], *rest

    return {_file(loss, layer): shape(loss) for loss, numbers in layers.items() for layer in numbers}


def _write(
    folder: Path, shapes: Shapes, prepared: Prepared, teacher: str, layers: Layers, device: torch.device
) -> None:
    size, free = 2 * sum(map(prod, shapes.values())), shutil.disk_usage(folder.parent).free
    if size > free:  # a mapped file that outgrows the disk would end the process
        raise UserError(
            f"the {teacher} teacher's features need {_readable(size)}, and {folder.parent} has {_readable(free)} free: "
            "set L2A_CACHE to another folder, or switch off losses of layers"
        )
    model = prepared.teacher(teacher).eval()
    torch.nn.Module.to(model, device)
    set_attention(model, layers, device)
    if "relation" in layers:
        value_projection(model)
    tokens = prepared.tokens(slice(0, prepared.rows["train"].stop)).to(device)
    log.info("writing %s of the %s teacher's features to %s", _readable(size), teacher, folder)
    write_folder(folder, lambda beside: _fill(beside, shapes, model, tokens, layers), folder.name)


@torch.no_grad()
def _fill(folder: Path, shapes: Shapes, model: PreTrainedModel, tokens: Tokens, layers: Layers) -> None:
    """Batch by batch; texts of similar length share one, which saves padding."""
    arrays = {
        name: np.lib.format.open_memmap(folder / name, mode="w+", dtype=np.float16, shape=shape)
        for name, shape in shapes.items()
    }
    order = tokens.length.argsort(stable=True)
    for rows in progress_bar(order.split(BATCH), desc="the teacher's features", leave=False):
        inputs = tokens.take(rows).inputs()
        with teacher_precision(tokens.ids.device):
            _, found = states(model.base_model, inputs, layers)
        for loss, numbers in layers.items():
            index = token_index(loss, rows.cpu().numpy(), inputs["input_ids"].shape[1])
            for layer, state in zip(numbers, found[loss], strict=True):
                arrays[_file(loss, layer)][index] = state.half().cpu().numpy()
    for array in arrays.values():
        array.flush()


def _readable(size: float) -> str:
    """A number of bytes with a decimal unit, e.g. ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
