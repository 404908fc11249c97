"""The student as a Hugging Face folder that ``transformers.pipeline("text-classification", folder)`` loads."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.cache import write_folder
from l2a_gym.errors import UserError


def check_export(folder: Path) -> None:
    """Refuse to replace what is no student's folder.

    Raises:
        UserError: something else stands at ``folder``.
    """
    if folder.exists() and not (folder / "model.safetensors").is_file() and not _empty(folder):
        raise UserError(f"{folder} is neither empty nor a student's folder, and would be replaced: give a new folder")


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def export(student: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, card: str, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer and model card; a folder that stands there is replaced."""

    def fill(beside: Path) -> None:
        student.save_pretrained(beside, safe_serialization=True)
        tokenizer.model_max_length = student.config.max_position_embeddings
        tokenizer.save_pretrained(beside)
        (beside / "README.md").write_text(card, encoding="utf-8")

    write_folder(folder, fill)
