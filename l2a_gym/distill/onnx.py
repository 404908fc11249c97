"""An exported student as ONNX: files that onnxruntime reads, in float32 and with 8-bit weights."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.heads import compared, sides_of
from l2a_gym.distill.towers import TwoTowers, load_student
from l2a_gym.errors import UserError

FLOAT32, INT8 = "onnx/model.onnx", "onnx/model_int8.onnx"
"""The files, in the place and under the names that transformers.js gives them."""
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
INPUTS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""A model's input -> what a text's encoding by ``tokenizers`` calls it."""


def check_onnx() -> None:
    """Find out whether ONNX files can be written.

    Raises:
        UserError: a package is missing.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise UserError(f'{missing[0]}, which ONNX files need, is not installed: pip install "l2a-gym[onnx]"')


def write_onnx(folder: Path) -> None:
    """Add both ONNX files to an exported folder, for any number of texts of any length that its tokenizer gives.

    8-bit weights are those of embeddings, and of all products, which have a scale for each column; activations are
    quantized as they come. A weight has 7 bits of the 8, so that the sums of two products fit into the 16 bits that
    x86-64 processors without VNNI have for them.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    (folder / FLOAT32).parent.mkdir()
    ids, mask = (torch.ones(2, 8, dtype=torch.int64) for _ in range(2))  # one tensor for both would become one input
    second = (torch.arange(8) > 4).long().repeat(2, 1)
    shape = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quiet():
        program = torch.onnx.export(
            _Logits(load_student(folder)).eval(),
            (ids, mask, second),
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_shapes=(shape, shape, shape),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(folder / FLOAT32, external_data=False)
        quantize_dynamic(
            folder / FLOAT32, folder / INT8, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )


class _Logits(torch.nn.Module):
    """A student's logits, by a graph that no value of a tensor decides."""

    def __init__(self, student: PreTrainedModel) -> None:
        super().__init__()
        self.student = student

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        if not isinstance(self.student, TwoTowers):
            logits: Tensor = self.student(input_ids, attention_mask, token_type_ids).logits
            return logits
        sides = sides_of(input_ids, attention_mask, token_type_ids)
        ids, mask = (torch.cat(each) for each in zip(*sides, strict=True))  # once: only then weights are quantized
        vectors = self.student.vectors(ids, mask).unflatten(0, (2, -1))
        return self.student.classifier(compared(vectors.transpose(0, 1)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what exporters tell of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def load_onnx(folder: Path, name: str) -> Callable[[Sequence[str] | Sequence[tuple[str, str]]], NDArray[np.float32]]:
    """What gives the logits (n, C) of texts or pairs by an ONNX file of a folder, on one thread."""
    from onnxruntime import InferenceSession, SessionOptions

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True  # as transformers does by "split_special_tokens"
    pad = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["pad_token"]
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])

    def logits(texts: Sequence[str] | Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        read = tokenizer.encode_batch(texts)
        inputs = {name: np.array([getattr(each, key) for each in read]) for name, key in INPUTS.items()}
        found: NDArray[np.float32] = session.run(None, inputs)[0]
        return found

    return logits
