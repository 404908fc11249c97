"""Teachers of a prepared task, opened to answer any texts."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.encode import encode
from l2a_gym.distill.teacher import predict, sentence_vectors
from l2a_gym.preparation.regressions import predict_all, read_head
from l2a_gym.preparation.store import AVERAGED, FROZEN, MEAN, TUNED, Prepared, mean_of, read_teacher
from l2a_gym.tasks.task import Texts


class OpenTeacher:
    """A single teacher, with its model in memory; it reads the pieces of its whole vocabulary.

    Args:
        prepared: what it was made with.
        name: one of the tuned or frozen teachers.
        max_length: texts are cut at so many tokens.
        device: where it answers.

    Attributes:
        parameters: of its encoder and its head.
    """

    def __init__(self, prepared: Prepared, name: str, max_length: int, device: torch.device) -> None:
        checkpoint = prepared.manifest()["config"]["checkpoint"]
        self._tokenizer, self._max_length, self._device = load_tokenizer(checkpoint), max_length, device
        self._head = None if name in TUNED else read_head(prepared.folder / FROZEN[name])
        model = read_teacher(prepared.folder / name) if self._head is None else load_teacher(checkpoint, 2, 0)
        self._model = torch.nn.Module.to(model, device)
        self.parameters: int = self._model.num_parameters()
        if self._head is not None:
            encoder = cast(PreTrainedModel, self._model.base_model)
            self.parameters = encoder.num_parameters() + self._head.weight.numel() + self._head.bias.numel()

    def __call__(self, texts: Texts) -> Tensor:
        """Its logits (n, C), float32 on the CPU."""
        tokens = encode(self._tokenizer, texts, self._max_length).to(self._device)
        if self._head is None:
            return predict(self._model, tokens).cpu()
        return torch.from_numpy(predict_all(self._head, sentence_vectors(self._model, tokens).numpy()))


def ask(prepared: Prepared, teacher: str, texts: Texts, max_length: int, device: torch.device) -> Tensor:
    """The logits (n, C) of a teacher, or of the mean of several, float32 on the CPU; arguments as above."""
    if teacher == MEAN:
        return mean_of([ask(prepared, name, texts, max_length, device) for name in AVERAGED])
    return OpenTeacher(prepared, teacher, max_length, device)(texts)
