"""Checkpoints as users have them: what is loaded, and what is refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    RobertaConfig,
    RobertaModel,
)

from l2a_gym.augment.masked_lm import MaskedLM
from l2a_gym.distill.checkpoint import (
    check_checkpoint,
    checkpoint_folder,
    load_teacher,
    load_tokenizer,
    readable_tokens,
)
from l2a_gym.errors import UserError
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.tasks.registry import make_task

SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer_config.json", "model.safetensors"
WORDS = "embeddings.word_embeddings.weight"
AGAIN = "fetch it again, or choose another"


@pytest.fixture
def checkpoint(small: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the small teacher, to be damaged."""
    return Path(shutil.copytree(small["checkpoint"], tmp_path / "mine"))


def write(checkpoint: Path, name: str, **values: Any) -> None:
    """Lay values over a JSON file of a checkpoint."""
    file = checkpoint / name
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


def tensors_of(checkpoint: Path) -> dict[str, Tensor]:
    return load_file(checkpoint / WEIGHTS)


def change(checkpoint: Path, how: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Change a checkpoint's tensors."""
    save_file(how(tensors_of(checkpoint)), checkpoint / WEIGHTS, metadata={"format": "pt"})


def message(load: Callable[[], object]) -> str:
    """The one line of the error that ``load`` raises."""
    with pytest.raises(UserError) as caught:
        load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


# Weights


def test_half_of_the_tensors(checkpoint: Path) -> None:
    change(checkpoint, lambda tensors: {name: tensors[name] for name in sorted(tensors)[1::2]})
    said = message(lambda: load_teacher(str(checkpoint), 2, 0))
    first = "'bert.embeddings.LayerNorm.bias'"
    assert said == f"the teacher '{checkpoint}' (folder) lacks 11 of 21 tensors, {first} first: " + AGAIN


def test_none_of_the_tensors(checkpoint: Path) -> None:
    change(checkpoint, lambda tensors: {f"model.bert.{name}": tensor for name, tensor in tensors.items()})
    assert "lacks 21 of 21 tensors" in message(lambda: load_teacher(str(checkpoint), 2, 0))


def test_without_a_pooler_a_checkpoint_is_whole(checkpoint: Path) -> None:
    """Masked language models have none."""
    change(checkpoint, lambda tensors: {name: each for name, each in tensors.items() if "pooler" not in name})
    assert torch.equal(
        load_teacher(str(checkpoint), 2, 0).base_model.state_dict()[WORDS], tensors_of(checkpoint)[WORDS]
    )


def test_tensors_of_another_shape(checkpoint: Path) -> None:
    write(checkpoint, CONFIG, vocab_size=40)
    said = message(lambda: load_teacher(str(checkpoint), 2, 0))
    assert f"has 'bert.{WORDS}' in the shape (105, 32), and its config.json says (40, 32): {AGAIN}" in said


def test_nan_in_the_weights(checkpoint: Path) -> None:
    change(checkpoint, lambda tensors: tensors | {WORDS: tensors[WORDS].index_fill(0, torch.tensor([7]), float("nan"))})
    said = message(lambda: load_teacher(str(checkpoint), 2, 0))
    assert said.endswith(f"has NaN or infinite values in 'bert.{WORDS}': choose another")


def test_a_classifier_of_other_classes_gets_a_new_head_alone(checkpoint: Path) -> None:
    config = BertConfig.from_pretrained(checkpoint)
    config.num_labels = 5
    trained = BertForSequenceClassification(config)
    trained.save_pretrained(checkpoint)
    two, five = (load_teacher(str(checkpoint), classes, 0) for classes in (2, 5))
    assert (two.classifier.weight.shape, two.config.num_labels) == ((2, 32), 2)
    assert torch.equal(five.classifier.weight, trained.classifier.weight)
    assert torch.equal(two.base_model.pooler.dense.weight, trained.bert.pooler.dense.weight)


def test_no_pickle_is_loaded(checkpoint: Path) -> None:
    torch.save(tensors_of(checkpoint), checkpoint / "pytorch_model.bin")
    (checkpoint / WEIGHTS).unlink()
    assert "no file named model.safetensors" in message(lambda: load_teacher(str(checkpoint), 2, 0))


# Model, tokenizer and task together


def test_too_few_positions(small: dict[str, Any], checkpoint: Path) -> None:
    check_checkpoint(str(checkpoint), 32)
    said = message(lambda: check_checkpoint(str(checkpoint), 33))
    assert said.endswith("reads at most 32 tokens, and the task's max_length is 33: set it to 32, or choose another")


def test_positions_of_a_roberta_begin_behind_the_padding(checkpoint: Path) -> None:
    RobertaModel(RobertaConfig(vocab_size=105, pad_token_id=1, max_position_embeddings=20, **SHAPE)).save_pretrained(
        checkpoint
    )
    check_checkpoint(str(checkpoint), 18)
    assert readable_tokens(str(checkpoint)) == 18
    assert "reads at most 18 tokens" in message(lambda: check_checkpoint(str(checkpoint), 19))


def test_a_model_without_a_table_of_positions_reads_any_number(checkpoint: Path) -> None:
    special = {f"{name}_token_id": i for i, name in enumerate(("pad", "unk", "cls", "sep", "mask"))}
    ModernBertModel(ModernBertConfig(vocab_size=105, **SHAPE, **special)).save_pretrained(checkpoint)
    before = torch.get_rng_state()
    assert readable_tokens(str(checkpoint)) is None
    assert torch.equal(torch.get_rng_state(), before)


def test_ids_beyond_the_table(checkpoint: Path) -> None:
    BertModel(BertConfig(vocab_size=50, max_position_embeddings=32, **SHAPE)).save_pretrained(checkpoint)
    said = message(lambda: check_checkpoint(str(checkpoint), 16))
    assert "has embeddings for ids below 50, and its tokenizer gives ids up to 104: take model and tokenizer" in said


def test_no_padding_token(checkpoint: Path) -> None:
    write(checkpoint, TOKENIZER, pad_token=None)
    said = message(lambda: load_tokenizer(str(checkpoint)))
    assert said.endswith("has no padding token: name one in its tokenizer_config.json (pad_token)")


def test_no_mask_token(checkpoint: Path) -> None:
    write(checkpoint, TOKENIZER, mask_token=None)
    assert "has no mask token, which the generator needs" in message(lambda: MaskedLM(str(checkpoint), 0))


def test_a_preparation_checks_the_checkpoint_first(
    small: dict[str, Any], checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    BertModel(BertConfig(vocab_size=105, max_position_embeddings=8, **SHAPE)).save_pretrained(checkpoint)
    config = Preparation(checkpoint=str(checkpoint))
    assert "reads at most 8 tokens" in message(lambda: prepare(make_task(small["task"]), config, torch.device("cpu")))
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock")


# Code of a checkpoint


@pytest.mark.parametrize(
    "load",
    [
        lambda name: load_teacher(name, 2, 0),
        lambda name: MaskedLM(name, 0),
    ],
    ids=["teacher", "masked-lm"],
)
def test_no_code_of_a_checkpoint_is_run_or_offered(
    checkpoint: Path, load: Callable[[str], object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    names = {f"Auto{kind}": "code.Mine" for kind in ("Config", "ModelForSequenceClassification", "ModelForMaskedLM")}
    write(checkpoint, CONFIG, model_type="mine", auto_map=names)
    (checkpoint / "code.py").write_text(f"open({str(checkpoint / 'ran')!r}, 'w')", encoding="utf-8")
    said = message(lambda: load(str(checkpoint)))
    assert said.endswith("can't be loaded: it needs code of its own, which is never run; 'embedded' needs no hub")
    assert not (checkpoint / "ran").exists()
    assert "custom code" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("name", ["flash_attention_2", "kernels-community/flash-attn"])
def test_the_attention_that_a_checkpoint_names_plays_no_part(checkpoint: Path, key: str, name: str) -> None:
    write(checkpoint, CONFIG, **{key: name})
    for model in (load_teacher(str(checkpoint), 2, 0), MaskedLM(str(checkpoint), 0).model):
        assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, "[]"),
        (CONFIG, '{"model_type": "bert", "hidden_size": "32"}'),
        (CONFIG, '{"model_type": "bert", "hidden_act": "mine"}'),
        (CONFIG, '{"model_type": "bert", "quantization_config": {"quant_method": "gptq", "bits": 4}}'),
        ("tokenizer.json", "{}"),
    ],
)
def test_files_of_another_shape(checkpoint: Path, name: str, content: str) -> None:
    (checkpoint / name).write_text(content, encoding="utf-8")
    said = message(lambda: load_both(str(checkpoint)))
    assert said.startswith(f"the teacher '{checkpoint}' (folder) can't be loaded: ")
