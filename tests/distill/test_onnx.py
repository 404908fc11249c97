"""ONNX files of exported students: they say what PyTorch says, of texts and pairs of any length and number."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoTokenizer, PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.export import export
from l2a_gym.distill.onnx import FLOAT32, INT8, check_onnx, load_onnx, write_onnx
from l2a_gym.distill.towers import load_student, two_towers
from l2a_gym.errors import UserError

TEXTS = ["the film was good", "x", "[SEP] and [CLS] " * 40, "the song of the town was awful " * 30, ""]


def student(small: dict[str, Any], kind: str) -> PreTrainedModel:
    teacher = load_teacher(small["checkpoint"], 2, 0)
    if kind == "bert":
        return teacher
    shape = {"vocab_size": teacher.config.vocab_size, "embedding_size": 8, "intermediate_size": 40}
    layers = {"hidden_size": 24, "num_hidden_layers": 2, "num_hidden_groups": 2, "num_attention_heads": 3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AlbertForSequenceClassification(AlbertConfig(**shape, **layers, max_position_embeddings=16))


@pytest.fixture(scope="module", params=["bert", "pairs of albert"])
def folder(small: dict[str, Any], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, pairs = request.param.split()[-1], request.param.startswith("pairs")
    model, folder = student(small, kind), tmp_path_factory.mktemp("onnx") / request.param
    model = two_towers(model) if pairs else model
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():  # a random start would call all texts the same
            parameter.data += 0.3 * torch.randn(parameter.shape)
    export(model, load_tokenizer(small["checkpoint"]), folder, write_onnx, pairs=pairs)
    return folder


def pytorch(folder: Path, texts: list[Any]) -> np.ndarray[Any, Any]:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load_student(folder)
    with torch.no_grad():
        logits = [
            model(**tokenizer(*([each] if isinstance(each, str) else each), return_tensors="pt")).logits
            for each in texts
        ]
    return torch.cat(logits).numpy()


def test_onnx_says_what_pytorch_says(folder: Path) -> None:
    """PyTorch reads one text at a time: how many are read together changes nothing."""
    texts: list[Any] = [(a, b) for a in TEXTS for b in TEXTS[:4]] if folder.name.startswith("pairs") else TEXTS
    expected = pytorch(folder, texts)
    assert expected.std(0).min() > 0.01
    asked = load_onnx(folder, FLOAT32)
    np.testing.assert_allclose(asked(texts), expected, atol=1e-4)
    np.testing.assert_allclose(asked(texts[3:4]), expected[3:4], atol=1e-4)
    close = np.abs(load_onnx(folder, INT8)(texts) - expected)
    assert close.mean() < 0.1 * expected.std()


def test_weights_have_8_bits(folder: Path) -> None:
    """All matrices, embeddings too."""
    bits = {onnx.TensorProto.FLOAT: 32, onnx.TensorProto.INT8: 8, onnx.TensorProto.UINT8: 8}
    whole, small = (
        {
            bits[w.data_type]
            for w in onnx.load(folder / name).graph.initializer
            if len(w.dims) == 2 and w.data_type in bits
        }
        for name in (FLOAT32, INT8)
    )
    assert (whole, small) == ({32}, {8})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_onnx()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        UserError, match=r'^onnxruntime, which ONNX files need, is not .*: pip install "l2a-gym\[onnx\]"$'
    ):
        check_onnx()
