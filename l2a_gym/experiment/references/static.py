"""Static vectors: one for each piece of the vocabulary, made as model2vec does; a text is the mean of its pieces'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import PCA
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.heads import head_input
from l2a_gym.distill.regression import regression
from l2a_gym.distill.teacher import sentence_vectors
from l2a_gym.experiment.references.classifier import Classes, Classifier, classes_of
from l2a_gym.experiment.references.given import Given
from l2a_gym.tasks.task import Texts

WIDTH = 256
"""Of a piece's vector, at most."""
RARE = 1e-3
"""a in the weight a / (a + p) of a piece that is a share p of all (SIF, Arora et al., 2017)."""


@dataclass(frozen=True)
class StaticVectors:
    """What a head reads of texts, or of pairs, by a table of vectors (V, D) of the tokenizer's pieces."""

    table: NDArray[np.float32]
    tokenizer: PreTrainedTokenizerFast
    max_length: int

    def __call__(self, texts: Texts) -> Tensor:
        """The inputs (n, F) of :func:`~l2a_gym.distill.heads.head_input`."""
        sides = [texts.text] if texts.pair is None else [texts.text, texts.pair]
        return head_input(torch.stack([self._sums(side) for side in sides], 1))

    def _sums(self, texts: Sequence[str]) -> Tensor:
        """Sums (n, D) of the vectors of each text's pieces: scaled to unit length, they are their means."""
        settings = {"add_special_tokens": False, "truncation": True, "max_length": self.max_length}
        pieces = self.tokenizer(list(texts), **settings)["input_ids"]
        ends = np.cumsum([0, *map(len, pieces)])
        ids = np.concatenate(pieces).astype(np.int64)
        counts = sparse.csr_matrix((np.ones(len(ids), np.float32), ids, ends), (len(texts), len(self.table)))
        return torch.from_numpy(counts @ self.table)


def static_vectors(given: Given) -> Classifier:
    """Static vectors, from source texts and shots."""
    task, learnt = given.task, given.with_shots(given.rows["sources"])
    inputs = StaticVectors(piece_vectors(given), given.prepared.tokenizer(), task.max_length)
    dev, dev_label = inputs(task.dev), given.label[given.rows["dev"]]
    head = regression(inputs(given.texts.take(learnt)), given.label[learnt], dev, dev_label)

    def classify(texts: Texts) -> Classes:
        return classes_of(head(inputs(texts)))

    return Classifier(
        classify,
        dev=classes_of(head(dev)),
        test=classify(task.test),
        labels=given.count("train", "dev"),
        parameters=inputs.table.size + head.weight.numel() + head.bias.numel(),
    )


def piece_vectors(given: Given) -> NDArray[np.float32]:
    """A vector (V, D) for each piece of the trimmed vocabulary: principal components, smaller for frequent pieces."""
    kept = given.prepared.array("tokens/kept")
    start, *end = given.tokenizer("")["input_ids"]
    ids = torch.tensor([[start, piece, *end] for piece in kept.tolist()], dtype=torch.int32)
    length = torch.full((len(ids),), ids.shape[1])
    alone = sentence_vectors(given.encoder, Tokens(ids, length, length))[:, 0].float().numpy()
    components = PCA(min(WIDTH, *alone.shape), svd_solver="full").fit_transform(alone)
    return (components * (RARE / (RARE + shares(given)))[:, None]).astype(np.float32)


def shares(given: Given) -> NDArray[np.float64]:
    """How large a share of the pool's pieces each piece (V,) is; special tokens are left out."""
    prepared = given.prepared
    ids = prepared.array("tokens/ids")[prepared.rows["pool"]]
    count = np.bincount(ids.ravel(), minlength=len(prepared.array("tokens/kept")))
    count[prepared.tokenizer().all_special_ids] = 0
    return count / count.sum()
