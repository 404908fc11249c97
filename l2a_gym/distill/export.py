"""The student as a Hugging Face folder.

``transformers.pipeline("text-classification", folder)`` loads students of texts, ``l2a_gym.load_student(folder)`` all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.cache import check_replaceable, damaged, own_folder, write_folder, write_text
from l2a_gym.distill.calibration import divide_logits
from l2a_gym.distill.cut import cutting_tokenizer, lengthen
from l2a_gym.errors import UserError


def check_export(folder: Path) -> None:
    """Refuse to replace anything but an exported student that is as it was written.

    Raises:
        UserError: something else stands at ``folder``, or nothing can be written there.
    """
    if Path.cwd().is_relative_to(folder.resolve()):
        raise UserError(f"{folder} would be replaced, and this command runs in it: give a new folder")
    check_replaceable(folder)
    if own_folder(folder) and (changed := damaged(folder)):
        raise UserError(f"{folder} would be replaced, and {changed[0]} in it was changed: give a new folder")
    parent = next(each for each in folder.resolve().parents if each.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror}): give another folder") from error


def export(
    student: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    finish: Callable[[Path], None],
    *,
    pairs: bool = False,
    temperature: float = 1.0,
) -> None:
    """Write weights (safetensors), configuration and tokenizer; an exported student that stands there is replaced.

    Args:
        student: of :data:`~l2a_gym.distill.forward.KINDS`, with a position for each token that it was taught to read.
        tokenizer: gives the ids that it was taught with.
        folder: where to; :func:`check_export` says whether it may be.
        finish: called with the folder when all this is in it, adds what else belongs there.
        pairs: whether the student reads pairs of texts.
        temperature: what its logits are divided by.

    Raises:
        UserError: it can't be written.
    """

    def fill(beside: Path) -> None:
        reader = cutting_tokenizer(tokenizer, student.config.max_position_embeddings, pairs)
        longer = lengthen(student, reader.model_max_length)
        divide_logits(longer.get_submodule("classifier"), temperature)
        longer.save_pretrained(beside, safe_serialization=True)
        reader.save_pretrained(beside)
        _name_for_all_versions(beside / "tokenizer_config.json")
        finish(beside)

    write_folder(folder, fill)


def _name_for_all_versions(file: Path) -> None:
    """``transformers`` 5 writes a name of the tokenizer's class that 4 does not know; both know the other."""
    config = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    write_text(file, json.dumps(config, indent=2))
