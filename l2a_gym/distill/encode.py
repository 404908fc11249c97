"""Texts to tokens, once; and a vocabulary trimmed to the pieces that the texts need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from l2a_gym.tasks.task import Texts


@dataclass(frozen=True)
class Tokens:
    """Token ids of n texts, padded to one length L.

    Attributes:
        ids: (n, L) int32, padded with ``pad``.
        length: (n,) int64, tokens of each text, special tokens included.
        first: (n,) int64, tokens of the first segment; equal to ``length`` for single texts.
        pad: id of the padding token.
    """

    ids: Tensor
    length: Tensor
    first: Tensor
    pad: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Tensor) -> Tokens:
        """The rows at ``index``, in that order."""
        return Tokens(self.ids[index], self.length[index], self.first[index], self.pad)

    def to(self, device: torch.device) -> Tokens:
        """The same tokens on ``device``."""
        return Tokens(self.ids.to(device), self.length.to(device), self.first.to(device), self.pad)

    def inputs(self) -> dict[str, Tensor]:
        """The arguments of a BERT-like model, cut to the longest of these texts."""
        longest = int(self.length.max())
        position = torch.arange(longest, device=self.ids.device)
        inputs = {
            "input_ids": self.ids[:, :longest],
            "attention_mask": (position < self.length[:, None]).long(),
        }
        if bool((self.first < self.length).any()):
            inputs["token_type_ids"] = (position >= self.first[:, None]).long()
        return inputs

    @staticmethod
    def cat(parts: list[Tokens]) -> Tokens:
        """All rows of ``parts``, in order; they share one L."""
        return Tokens(
            torch.cat([part.ids for part in parts]),
            torch.cat([part.length for part in parts]),
            torch.cat([part.first for part in parts]),
            parts[0].pad,
        )


def encode(tokenizer: PreTrainedTokenizerFast, texts: Texts, max_length: int) -> Tokens:
    """Tokenise texts (or pairs), cut at ``max_length`` tokens and padded to it."""
    rows = tokenizer(
        list(texts.text),
        None if texts.pair is None else list(texts.pair),
        truncation=True,
        max_length=max_length,
        padding="max_length",
        return_attention_mask=True,
        return_token_type_ids=True,
        return_tensors="np",
    )
    mask = rows["attention_mask"]
    length = torch.from_numpy(mask.sum(1).astype(np.int64))
    second = torch.from_numpy((rows["token_type_ids"] * mask).sum(1).astype(np.int64))
    return Tokens(torch.from_numpy(rows["input_ids"].astype(np.int32)), length, length - second, tokenizer.pad_token_id)


def used_pieces(tokenizer: PreTrainedTokenizerFast, texts: Texts, max_length: int) -> NDArray[np.int64]:
    """The ids that :func:`encode` gives, as often as they occur, without padding.

    Pairs count in full: their cut depends on both whole lengths.
    """
    if texts.pair is None:
        tokens = encode(tokenizer, texts, max_length)
        return tokens.ids[torch.arange(max_length) < tokens.length[:, None]].numpy().astype(np.int64)
    sides = tokenizer([*texts.text, *texts.pair], add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.array(ids, dtype=np.int64) for ids in sides])


def shuffled_batches(length: Tensor, batch: int) -> Iterator[Tensor]:
    """Endless random batches of rows, epoch by epoch, drawn from the global generator of torch.

    Within spans of 16 batches, texts of similar length share a batch, which saves padding.

    Args:
        length: (n,) tokens of each text.
        batch: rows in a batch; an epoch's last one may be smaller.
    """
    while True:
        order = torch.randperm(len(length), device=length.device)
        spans = [rows[length[rows].argsort()] for rows in order.split(16 * batch)]
        batches = torch.cat(spans).split(batch)
        for i in torch.randperm(len(batches)).tolist():
            yield batches[i]


def trim_vocabulary(
    tokenizer: PreTrainedTokenizerFast, used: NDArray[np.int64], limit: int | None = None
) -> tuple[PreTrainedTokenizerFast, NDArray[np.int64]]:
    """Keep the used pieces, the special ones and all single characters of a WordPiece vocabulary.

    WordPiece takes the longest piece that matches, so texts made of kept pieces are cut as before; any other text is
    cut into smaller pieces. Other kinds of vocabulary are kept whole.

    Args:
        tokenizer: a fast tokenizer.
        used: ids that the texts use, as often as they do.
        limit: at most this many pieces are kept, the most frequent; None: all that are used.

    Returns:
        The trimmed tokenizer, and (V,) the old id of each new id, ascending.
    """
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "WordPiece":
        return tokenizer, np.arange(len(tokenizer), dtype=np.int64)
    vocabulary: dict[str, int] = state["model"]["vocab"]
    single = [old for piece, old in vocabulary.items() if len(piece.removeprefix("##")) == 1]
    always = np.unique(np.array([*tokenizer.all_special_ids, *single], dtype=np.int64))
    pieces, count = np.unique(used[~np.isin(used, always)], return_counts=True)
    room = None if limit is None else max(limit - len(always), 0)
    frequent = pieces[np.argsort(-count, kind="stable")][:room]
    kept = np.sort(np.concatenate([always, frequent]))
    new = {int(old): position for position, old in enumerate(kept)}
    state["model"]["vocab"] = {piece: new[old] for piece, old in vocabulary.items() if old in new}
    state["truncation"] = state["padding"] = None
    state["added_tokens"] = [{**token, "id": new[token["id"]]} for token in state["added_tokens"]]
    _renumber(state["post_processor"], new)
    trimmed = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        model_max_length=tokenizer.model_max_length,
        **tokenizer.special_tokens_map,
    )
    return trimmed, kept


def _renumber(post_processor: dict[str, Any], new: dict[int, int]) -> None:
    if post_processor["type"] == "TemplateProcessing":
        for token in post_processor["special_tokens"].values():
            token["ids"] = [new[old] for old in token["ids"]]
    else:  # BertProcessing
        for side in ("sep", "cls"):
            token, old = post_processor[side]
            post_processor[side] = [token, new[old]]


def whole_words(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The vocabulary's words of three or more letters -> id; pieces that continue a word are left out."""
    return {word: i for word, i in sorted(tokenizer.get_vocab().items()) if len(word) > 2 and word.isalpha()}
