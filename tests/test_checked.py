"""JSON files and arrays of our own: read as they were written, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l2a_gym.checked import digest_of, read_array, read_json, write_array, write_json

VALUES = {"b": [1, 2.5, None], "a": {"text": "\u017elu\u0165", "nan": float("inf")}}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeroed": lambda content: content[:-20] + bytes(20),
    "one digit": lambda content: content.replace(b"2.5", b"2.6"),
    "a list": lambda content: b"[]",
    "another shape": lambda content: b'{"sha256": 3}',
    "no text": lambda content: b"\xff\xfe",
    "deep": lambda content: b"[" * 100_000,
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "values.json", VALUES)
    assert read_json(tmp_path / "values.json") == VALUES
    assert read_json(tmp_path / "none.json") is None
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 2, "b": 1})


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_not_read(tmp_path: Path, name: str) -> None:
    write_json(tmp_path / "values.json", VALUES)
    content = (tmp_path / "values.json").read_bytes()
    (tmp_path / "values.json").write_bytes(DAMAGES[name](content))
    assert read_json(tmp_path / "values.json") is None


def test_an_array_is_read_by_numpy_too_and_not_at_all_if_damaged(tmp_path: Path) -> None:
    file, array = tmp_path / "array.npy", np.arange(6).reshape(2, 3)
    assert read_array(file) is None
    write_array(file, array)
    assert np.load(file).tolist() == array.tolist()
    found = read_array(file)
    assert found is not None
    assert found.tolist() == array.tolist()
    content = file.read_bytes()
    for damage in (content[:-1], b"", content[:-50] + bytes(50), content[:-32]):
        file.write_bytes(damage)
        assert read_array(file) is None
