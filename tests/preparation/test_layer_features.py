"""The teacher's features on disk: what they hold, when they are written, and that no half of them is ever read."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, BertConfig, BertModel

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.matching import Features
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError
from l2a_gym.preparation import layer_features as module
from l2a_gym.preparation.layer_features import check_layers, teacher_features
from l2a_gym.preparation.store import Prepared

CPU = torch.device("cpu")
WIDTH, LENGTH = 32, 16
ALL = Distillation(hidden=1.0, attention=1.0, embedding=1.0, patience=1.0, relation=1.0)


@pytest.fixture(scope="module")
def deep(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small task's checkpoint with four layers in the place of one."""
    folder = tmp_path_factory.mktemp("deep") / "teacher"
    shutil.copytree(small["checkpoint"], folder)
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vocabulary = AutoConfig.from_pretrained(folder).vocab_size
        BertModel(BertConfig(vocab_size=vocabulary, max_position_embeddings=32, **shape)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def prepared(small: dict[str, Any], deep: str) -> Prepared:
    return DistillAugEnv(**{**small, "checkpoint": deep}).world.prepared


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared: Prepared, in_float32: None) -> Path:
    """A cache without any features, and float32 on every processor."""
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(prepared: Prepared, config: Distillation = ALL, teacher: str = "few-shot") -> Features:
    return teacher_features(prepared, teacher, config, prepared.student().config, CPU)


def folders(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "features").glob("*") if path.is_dir())


def test_rows_are_what_the_teacher_computes_for_each_text_alone(prepared: Prepared) -> None:
    features = made(prepared)
    assert features.pairs == {
        "hidden": ((1, 2), (2, 4)),
        "attention": ((1, 2), (2, 4)),
        "embedding": ((0, 0),),
        "patience": ((1, 2), (2, 4)),
        "relation": ((2, 4),),
    }
    model = prepared.teacher("few-shot").eval()
    model.set_attn_implementation("eager")
    tokens = prepared.tokens(slice(0, prepared.rows["train"].stop))
    lengths = tokens.length.tolist()
    rows = [0, prepared.rows["pool"].stop, len(tokens) - 1, *(lengths.index(length) for length in sorted(set(lengths)))]
    assert len(rows) > 4
    for row in rows:
        n = int(tokens.length[row])
        with torch.no_grad():
            out = model.bert(input_ids=tokens.ids[[row], :n].long(), output_hidden_states=True, output_attentions=True)
            value = model.bert.encoder.layer[3].attention.self.value(out.hidden_states[3])
        expected = {
            "hidden": [out.hidden_states[2], out.hidden_states[4]],
            "attention": [out.attentions[1].mean(1), out.attentions[3].mean(1)],
            "embedding": [out.hidden_states[0]],
            "patience": [out.hidden_states[2][:, 0], out.hidden_states[4][:, 0]],
            "relation": [value],
        }
        got = features.take(torch.tensor([row]), n)
        for loss, states in expected.items():
            for one, two in zip(got[loss], states, strict=True):
                assert one.dtype == torch.float32
                torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_files_are_half_precision_and_hold_what_is_needed_alone(prepared: Prepared, cache: Path) -> None:
    n = prepared.rows["train"].stop
    made(prepared)
    [folder] = folders(cache)
    shapes = {path.name: (np.load(path).shape, np.load(path).dtype) for path in folder.glob("*.npy")}
    assert shapes == {
        **{f"hidden-{layer}.npy": ((n, LENGTH, WIDTH), np.float16) for layer in (2, 4)},
        **{f"attention-{layer}.npy": ((n, LENGTH, LENGTH), np.float16) for layer in (2, 4)},
        **{f"patience-{layer}.npy": ((n, WIDTH), np.float16) for layer in (2, 4)},
        "embedding-0.npy": ((n, LENGTH, WIDTH), np.float16),
        "relation-4.npy": ((n, LENGTH, WIDTH), np.float16),
    }
    shutil.rmtree(folder)
    features = made(prepared, Distillation(patience=0.5, layer_map="skip"))
    [folder] = folders(cache)
    assert folder.name.startswith(f"{prepared.folder.name}-few-shot-")
    assert [path.name for path in folder.glob("*.npy")] == ["patience-2.npy"]
    assert isinstance(features.arrays["patience"][0], np.memmap)
    assert not list(folder.parent.glob(".*"))


def test_rows_come_in_the_order_asked_for(prepared: Prepared) -> None:
    features = made(prepared, Distillation(hidden=1.0))
    rows = torch.tensor([7, 2, 2, 30])
    [first, second] = features.take(rows, 5)["hidden"]
    assert first.shape == second.shape == (4, 5, WIDTH)
    for place, row in enumerate(rows.tolist()):
        np.testing.assert_array_equal(first[place].numpy(), features.arrays["hidden"][0][row, :5].astype(np.float32))


def test_nothing_is_written_without_a_loss(prepared: Prepared, cache: Path) -> None:
    features = made(prepared, Distillation(layer_map="last"))
    assert (features.pairs, features.arrays) == ({}, {})
    assert not cache.exists()


def test_size_is_announced_before_writing(
    prepared: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said_before: list[str] = []
    write = module.write_folder

    def spy(*arguments: Any) -> None:
        said_before.extend(caplog.messages)
        assert folders(cache) == []
        write(*arguments)

    monkeypatch.setattr(module, "write_folder", spy)
    with caplog.at_level(logging.INFO, module.__name__):
        made(prepared, Distillation(hidden=1.0), "all-data")
    [folder] = folders(cache)
    size = prepared.rows["train"].stop * 2 * LENGTH * WIDTH * 2
    assert said_before == [f"writing {size / 1e6:.3g} MB of the all-data teacher's features to {folder}"]
    assert sum(path.stat().st_size for path in folder.iterdir()) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (1.234e3, "1.23 kB"), (5e8, "500 MB"), (1.2e9, "1.2 GB"), (3.4e12, "3.4 TB")]
)
def test_sizes_are_readable(size: float, text: str) -> None:
    assert module._readable(size) == text


def test_second_call_reads_what_the_first_wrote(
    prepared: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(prepared)
    monkeypatch.setattr(Prepared, "teacher", lambda *_: pytest.fail("the teacher was loaded again"))
    second = made(prepared)
    for loss, arrays in first.arrays.items():
        for one, two in zip(arrays, second.arrays[loss], strict=True):
            np.testing.assert_array_equal(one, two)
    made(prepared, Distillation(**dict.fromkeys(ALL.extra, 7.0), attention_loss="kl"))  # weights do not matter
    assert len(folders(cache)) == 1


def test_other_layers_and_another_teacher_have_their_own_folder(prepared: Prepared, cache: Path) -> None:
    for config in (Distillation(hidden=1.0), Distillation(hidden=1.0, layer_map="last"), Distillation(patience=1.0)):
        for teacher in ("few-shot", "all-data"):
            made(prepared, config, teacher)
    assert len(folders(cache)) == 6


def test_another_training_of_the_teacher_has_its_own_folder(
    prepared: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(prepared, Distillation(patience=1.0))
    manifest = prepared.manifest()
    manifest["files"]["few-shot/model/model.safetensors"] = "other"
    monkeypatch.setattr(Prepared, "manifest", lambda self: manifest)
    made(prepared, Distillation(patience=1.0))
    assert len(folders(cache)) == 2


def test_interrupted_writing_leaves_nothing(prepared: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module.states
    calls: list[int] = []

    def broken(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(module, "states", broken)
    with pytest.raises(KeyboardInterrupt):
        made(prepared)
    assert [path.suffix for path in (cache / "features").iterdir()] in ([], [".lock"])
    made(prepared)
    assert len(folders(cache)) == 1


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "zeroed"])
def test_damaged_files_are_written_again(
    prepared: Prepared, cache: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    before = np.array(made(prepared, Distillation(hidden=1.0)).arrays["hidden"][1])
    [folder] = folders(cache)
    file = folder / "hidden-4.npy"
    content = file.read_bytes()
    file.unlink()
    if damage != "gone":
        half = len(content) // 2
        file.write_bytes({"empty": b"", "cut": content[:half], "zeroed": content[:half] + bytes(half)}[damage])
    after = made(prepared, Distillation(hidden=1.0)).arrays["hidden"][1]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"{folder} is damaged: writing it again"]
    np.testing.assert_array_equal(after, before)


def test_disk_that_is_too_small(prepared: Prepared, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1234))
    with pytest.raises(
        UserError, match=r"^the few-shot teacher's features need .* MB, and .*features has 1.23 kB free: "
    ):
        made(prepared)
    assert folders(cache) == []


def test_layers_that_do_not_match_write_nothing(prepared: Prepared, cache: Path) -> None:
    student = BertConfig(num_hidden_layers=3, num_attention_heads=2)
    with pytest.raises(
        UserError, match=r"^layer_map = 'uniform' can't match student layers = 3 to teacher layers = 4: "
    ):
        teacher_features(prepared, "few-shot", Distillation(hidden=1.0), student, CPU)
    assert not cache.exists()


def test_layers_are_checked_before_anything_is_prepared(small: dict[str, Any], deep: str, cache: Path) -> None:
    config = Distillation(hidden=1.0)
    check_layers(config, "tiny", deep)
    check_layers(config, "tinybert", deep)
    check_layers(config, "ratio", small["checkpoint"])  # whose layers are not known yet
    check_layers(Distillation(), "tiny", "nowhere/to/be/found")
    check_layers(Distillation(embedding=1.0), "tiny", small["checkpoint"])
    with pytest.raises(
        UserError, match=r"^layer_map = 'uniform' can't match student layers = 2 to teacher layers = 1: "
    ):
        check_layers(config, "tiny", small["checkpoint"])
    with pytest.raises(UserError, match=r"^relation: the teacher's width 32 can't be cut into the 12 heads"):
        check_layers(Distillation(relation=1.0), "tinybert", deep)
    with pytest.raises(UserError, match=r"^the teacher 'nowhere/to/be/found' \(hub id\) can't be loaded: "):
        check_layers(config, "tiny", "nowhere/to/be/found")
    assert not cache.exists()
