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

AT_ONCE = 8192
"""Texts that are tokenised at a time."""


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
        """The rows at ``index``, in that order; an index (E, n) gives the tokens of E students, ids (E, n, L)."""
        return Tokens(self.ids[index], self.length[index], self.first[index], self.pad)

    def cut(self, longest: int) -> Tokens:
        """The same texts without their padding beyond so many tokens; none is longer."""
        return Tokens(self.ids[..., :longest], self.length, self.first, self.pad)

    def of_one(self) -> Tokens:
        """The same as tokens of one student, ids (1, n, L)."""
        return Tokens(self.ids[None], self.length[None], self.first[None], self.pad)

    def sides(self) -> Tokens:
        """Both sides of n pairs as texts of their own, ids (..., 2 n, L).

        [CLS] a [SEP] b [SEP] becomes [CLS] a [SEP] and, after it, [CLS] b [SEP].
        """
        position = torch.arange(self.ids.shape[-1], device=self.ids.device)
        place = torch.where(position > 0, self.first[..., None] - 1 + position, 0).clamp(max=len(position) - 1)
        both = torch.stack([self.ids, self.ids.gather(-1, place)], -2)
        length = torch.stack([self.first, self.length - self.first + 1], -1)
        ids = both.masked_fill(position >= length[..., None], self.pad).flatten(-3, -2)
        return Tokens(ids, length.flatten(-2), length.flatten(-2), self.pad)

    def to(self, device: torch.device) -> Tokens:
        """The same tokens on ``device``."""
        return Tokens(self.ids.to(device), self.length.to(device), self.first.to(device), self.pad)

    @property
    def pairs(self) -> bool:
        """Whether a text has a second segment."""
        return bool((self.first < self.length).any())

    def inputs(self) -> dict[str, Tensor]:
        """The arguments of a BERT-like model, cut to the longest of these texts."""
        longest = int(self.length.max())
        position = torch.arange(longest, device=self.ids.device)
        inputs = {
            "input_ids": self.ids[:, :longest],
            "attention_mask": (position < self.length[:, None]).long(),
        }
        if self.pairs:
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
    ids = torch.empty(len(texts), max_length, dtype=torch.int32)
    length, first = torch.empty(2, len(texts), dtype=torch.int64)
    for part in parts_of(len(texts)):
        rows = tokenizer(
            list(texts.text[part]),
            None if texts.pair is None else list(texts.pair[part]),
            truncation=True,
            max_length=max_length,
            padding="max_length",
            return_attention_mask=True,
            return_token_type_ids=True,
            return_tensors="pt",
        )
        mask = rows["attention_mask"]
        ids[part], length[part] = rows["input_ids"].int(), mask.sum(1)
        first[part] = length[part] - (rows["token_type_ids"] * mask).sum(1)
    return Tokens(ids, length, first, tokenizer.pad_token_id)


def count_pieces(tokenizer: PreTrainedTokenizerFast, texts: Texts, max_length: int) -> NDArray[np.int64]:
    """How often each id of the vocabulary (V,) is among those that :func:`encode` gives, padding left out.

    Pairs count in full: their cut depends on both whole lengths.
    """
    pair = texts.pair is not None
    settings = {"add_special_tokens": not pair, "truncation": not pair, "max_length": None if pair else max_length}
    count = np.zeros(len(tokenizer), dtype=np.int64)
    for side in (texts.text, texts.pair or ()):
        for part in parts_of(len(side)):
            rows = tokenizer(list(side[part]), verbose=False, **settings)["input_ids"]
            count += np.bincount(np.concatenate(rows).astype(np.int64), minlength=len(count))
    return count


def parts_of(n: int) -> Iterator[slice]:
    """Slices of n texts; the tokeniser's own objects for a text are many times as large as its tokens."""
    return (slice(start, start + AT_ONCE) for start in range(0, n, AT_ONCE))


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
    tokenizer: PreTrainedTokenizerFast, count: NDArray[np.int64], limit: int | None = None
) -> tuple[PreTrainedTokenizerFast, NDArray[np.int64]]:
    """Keep the used pieces, the special ones and all single characters of a WordPiece vocabulary.

    WordPiece takes the longest piece that matches, so texts made of kept pieces are cut as before; any other text is
    cut into smaller pieces. Where there is a limit, single characters beyond ASCII have to be in use as well: a word
    with another one becomes unknown; and the room that is left is filled with the vocabulary's other words and parts of
    words, in its order, which for BERT is that of their frequency. Other kinds of vocabulary are kept whole.

    Args:
        tokenizer: a fast tokenizer.
        count: (V,) >= 0, how often the texts use each id, see :func:`count_pieces`.
        limit: at most this many pieces are kept, the most frequent first; None: all that are used.

    Returns:
        The trimmed tokenizer, and (V,) the old id of each new id, ascending.
    """
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "WordPiece":
        return tokenizer, np.arange(len(tokenizer), dtype=np.int64)
    vocabulary: dict[str, int] = state["model"]["vocab"]
    single = {old: piece.removeprefix("##") for piece, old in vocabulary.items() if len(piece.removeprefix("##")) == 1}
    letters = [old for old, character in single.items() if limit is None or character.isascii() or count[old]]
    always = np.unique(np.array([*tokenizer.all_special_ids, *letters], dtype=np.int64))
    wanted = count > 0
    if limit is not None:
        words = [old for piece, old in vocabulary.items() if piece.removeprefix("##").isalpha() and old not in single]
        wanted[words] = True
    used = np.setdiff1d(np.flatnonzero(wanted), always)
    room = None if limit is None else max(limit - len(always), 0)
    frequent = used[np.argsort(-count[used], kind="stable")][:room]
    kept = np.sort(np.concatenate([always, frequent]))
    new = {int(old): position for position, old in enumerate(kept)}
    state["model"]["vocab"] = {piece: new[old] for piece, old in vocabulary.items() if old in new}
    state["truncation"] = state["padding"] = None
    state["added_tokens"] = [{**token, "id": new[token["id"]]} for token in state["added_tokens"] if token["id"] in new]
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
