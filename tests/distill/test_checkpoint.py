"""Checkpoints as users have them: what is loaded, and what is refused in one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from l2a_gym.distill.checkpoint import checkpoint_folder, load_teacher, load_tokenizer
from l2a_gym.errors import UserError


def test_classes_and_precision(small: dict[str, Any]) -> None:
    model = load_teacher(small["checkpoint"], 7, 0)
    assert model.classifier.weight.shape == (7, 32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("load", [load_tokenizer, lambda name: load_teacher(name, 2, 0)], ids=["tokenizer", "teacher"])
def test_checkpoint_that_is_not_there(tmp_path: Path, load: Any) -> None:
    (tmp_path / "empty").mkdir()
    for name, kind in {
        str(tmp_path / "empty"): "folder",
        str(tmp_path / "nowhere"): "hub id",
        "a/b/c": "hub id",
    }.items():
        with pytest.raises(UserError) as caught:
            load(name)
        message = str(caught.value)
        assert message.startswith(f"the teacher {name!r} ({kind}) can't be loaded: ")
        assert message.endswith("; 'embedded' needs no hub")
        assert "\n" not in message


def load_both(checkpoint: str) -> None:
    load_tokenizer(checkpoint)
    load_teacher(checkpoint, 2, 0)


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json"])
def test_checkpoint_that_is_damaged(small: dict[str, Any], tmp_path: Path, damage: str) -> None:
    shutil.copytree(small["checkpoint"], tmp_path / "broken")
    file = tmp_path / "broken" / damage
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(
        UserError, match=r"^the teacher '.*broken' \(folder\) can't be loaded: .*'embedded' needs no hub$"
    ):
        load_both(str(file.parent))


def test_embedded_is_a_folder_in_the_cache() -> None:
    assert (Path(checkpoint_folder("embedded")) / "model.safetensors").is_file()
    assert checkpoint_folder("some/hub-id") == "some/hub-id"
