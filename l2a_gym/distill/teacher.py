"""The teacher: what it outputs for every text, computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.device import attention, teacher_precision
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.heads import side_vectors
from l2a_gym.progress import progress_bar


def keep_pieces(model: PreTrainedModel, kept: NDArray[np.int64]) -> None:
    """Leave the model only the embedding rows of the ids in ``kept`` (V,), ascending; its new ids are 0 to V - 1."""
    table = cast(torch.nn.Embedding, model.get_input_embeddings())
    padding = None if table.padding_idx is None else int(np.searchsorted(kept, table.padding_idx))
    rows = table.weight.detach()[torch.from_numpy(kept.copy())]
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows, freeze=False, padding_idx=padding))
    model.config.vocab_size = len(kept)


def embedding_table(model: PreTrainedModel) -> Tensor:
    """The model's word embeddings (V, H)."""
    return cast(torch.nn.Embedding, model.get_input_embeddings()).weight.detach()


def predict(model: PreTrainedModel, tokens: Tokens, batch: int = 64) -> Tensor:
    """Logits (n, C), float32 on the model's device, in the order of ``tokens``."""
    logits = torch.empty(len(tokens), cast(int, model.config.num_labels), device=tokens.ids.device)
    return _ask(model, lambda inputs: model(**inputs).logits, tokens, batch, logits)


def sentence_vectors(model: PreTrainedModel, tokens: Tokens, batch: int = 64) -> Tensor:
    """Means of the last layer over the tokens of each text (n, 1, H), or of both sides of pairs, each alone (n, 2, H).

    float16 on the CPU, in the order of ``tokens``.
    """
    vectors = torch.empty(len(tokens), 2 if tokens.pairs else 1, model.config.hidden_size, dtype=torch.float16)
    return _ask(model, lambda inputs: side_vectors(model.base_model, **inputs), tokens, batch, vectors)


@torch.no_grad()
def _ask(
    model: PreTrainedModel, answer: Callable[[dict[str, Tensor]], Tensor], tokens: Tokens, batch: int, answers: Tensor
) -> Tensor:
    """Fill ``answers`` in the order of ``tokens``; texts of similar length share a batch, which saves padding."""
    model.eval()
    model.set_attn_implementation(attention(tokens.ids.device))
    batches = tokens.length.argsort(stable=True).split(batch)
    with teacher_precision(tokens.ids.device):
        for rows in progress_bar(batches, desc="asking the teacher", delay=2, leave=False):
            answers[rows.to(answers.device)] = answer(tokens.take(rows).inputs()).to(answers)
    return answers
