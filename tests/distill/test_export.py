"""Exported folders: what is in them, and that nothing else is ever replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from l2a_gym.cache import SEAL, damaged, own_folder
from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.export import check_export, export
from l2a_gym.errors import UserError


def write(small: dict[str, Any], folder: Path, card: str = "# A student\n") -> None:
    """Export the small teacher as a student, after the check."""
    check_export(folder)
    student, tokenizer = load_teacher(small["checkpoint"], 2, 0), load_tokenizer(small["checkpoint"])
    export(student, tokenizer, folder, lambda written: (written / "README.md").write_text(card))  # type: ignore[arg-type,return-value]


@pytest.fixture
def folder(small: dict[str, Any], tmp_path: Path) -> Path:
    write(small, tmp_path / "student")
    return tmp_path / "student"


def refusal(folder: Path) -> str:
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as caught:
        check_export(folder)
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before
    return str(caught.value)


def test_names_of_both_versions_of_transformers(folder: Path) -> None:
    names = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", SEAL}
    assert {path.name for path in folder.iterdir()} == names
    config = json.loads((folder / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]


def test_every_file_has_the_mode_that_the_umask_leaves(small: dict[str, Any], tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(small, tmp_path / "student")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "student").iterdir()} == {0o640}


def test_a_text_of_any_length_is_classified(folder: Path) -> None:
    classify = pipeline("text-classification", str(folder), device="cpu")
    texts = ["good film", "the film and the book of 7 was dull " * 12, "! " * 9999]
    plain, cut = classify(texts), classify(texts, truncation=True)
    assert plain == cut
    assert {answer["label"] for answer in plain} <= {"LABEL_0", "LABEL_1"}


def test_an_exported_student_is_replaced(small: dict[str, Any], folder: Path) -> None:
    assert damaged(folder) == []
    write(small, folder, "# Another\n")
    assert (folder / "README.md").read_text() == "# Another\n"
    assert damaged(folder) == []
    assert [path.name for path in folder.parent.iterdir()] == ["student"]


def test_what_was_changed_since_is_kept(folder: Path) -> None:
    (folder / "README.md").write_text("# My own words\n")
    assert refusal(folder) == (f"{folder} would be replaced, and README.md in it was changed: give a new folder")


def test_what_was_added_since_is_kept(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "notes.txt").write_text("dear all")
    assert not own_folder(folder)
    assert "would be replaced, and holds what L2A-Gym did not write" in refusal(folder)


def test_a_link_that_was_added_since_is_kept(folder: Path) -> None:
    (folder / "link").symlink_to("/nowhere")
    assert "would be replaced, and holds what L2A-Gym did not write" in refusal(folder)


def test_a_student_that_is_cut_is_named(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1])
    (folder / "config.json").unlink()
    assert damaged(folder) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("mark", [None, "", "[]", '{"files": 3}', '{"files": {}}'])
def test_the_model_of_others_is_kept(folder: Path, mark: str | None) -> None:
    (folder / SEAL).unlink()
    if mark is not None:
        (folder / SEAL).write_text(mark)
    assert "would be replaced" in refusal(folder)


def test_a_folder_that_the_command_runs_in_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in (Path(), folder, Path("..", "student")):
        with pytest.raises(UserError, match="would be replaced, and this command runs in it: give a new folder"):
            check_export(name)
    assert damaged(folder) == []


def test_a_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "student").write_text("dear all")
    assert "would be replaced, and holds what L2A-Gym did not write" in refusal(tmp_path / "student")


def test_an_empty_folder_and_a_missing_one_are_filled(small: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "not" / "yet"):
        write(small, folder)
        assert damaged(folder) == []


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(small: dict[str, Any], tmp_path: Path) -> None:
    link = tmp_path / "student"
    link.symlink_to(tmp_path / "disk", target_is_directory=True)
    for card in ("# One\n", "# Two\n"):
        write(small, link, card)
        assert link.is_symlink()
        assert (tmp_path / "disk" / "README.md").read_text() == card


def test_where_nothing_can_be_written_is_found_out_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "student", Path("/proc/student")):
        with pytest.raises(UserError, match=rf"^{folder} can't be written \(.+\): give another folder$"):
            check_export(folder)


def test_a_failed_export_leaves_the_earlier_one(small: dict[str, Any], folder: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    student, tokenizer = load_teacher(small["checkpoint"], 2, 0), load_tokenizer(small["checkpoint"])
    with pytest.raises(UserError, match=r"student can't be written \(No space left on device\)"):
        export(student, tokenizer, folder, fail)
    assert damaged(folder) == []
    assert [path.name for path in folder.parent.iterdir()] == ["student"]
