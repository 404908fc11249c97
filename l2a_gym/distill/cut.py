"""How an exported student reads texts of any length: its tokenizer cuts by itself, however it is called.

``transformers`` switches off the truncation that stands in a tokenizer's file, and its pipelines ask for none. So the
cut is part of the normalization, which leaves a text's first characters. A piece has at least one character; the
student gets a position for each piece that these can give.
"""

from __future__ import annotations

import copy
import json

import torch
from tokenizers import Regex, Tokenizer, normalizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

CHARACTERS = 6
"""Characters that are left for each token of the length that was taught; English has four or five a token."""


def cutting_tokenizer(tokenizer: PreTrainedTokenizerFast, max_length: int, pairs: bool) -> PreTrainedTokenizerFast:
    """A copy that cuts by itself, pads nothing, tells the texts of a pair apart, and takes no text for a special token.

    Args:
        tokenizer: a fast tokenizer.
        max_length: tokens that the student was taught to read.
        pairs: whether it reads pairs, of which each text gets half of the characters.

    Returns:
        The tokenizer. Its ``model_max_length`` is the most that it can give.
    """
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    sides = 2 if pairs else 1
    characters = CHARACTERS * max_length // sides
    cut = normalizers.Replace(Regex(rf"(?<=\A[\s\S]{{{characters}}})[\s\S]+"), "")
    first = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([*first, cut])
    pieces = (characters + 1) * _pieces_of_a_character(backend)  # some tokenizers put a blank before the text
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=sides * pieces + backend.num_special_tokens_to_add(pairs),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        split_special_tokens=True,  # the text between two of them would be cut on its own
        **tokenizer.special_tokens_map,
    )


def _pieces_of_a_character(backend: Tokenizer) -> int:
    """One; or four where pieces are made of bytes, as UTF-8 has them."""
    state = json.loads(backend.to_str())
    return 4 if "ByteLevel" in json.dumps(state["pre_tokenizer"]) or state["model"].get("byte_fallback") else 1


def lengthen(student: PreTrainedModel, positions: int) -> PreTrainedModel:
    """A copy of a BERT or ALBERT with more positions; the new ones get the mean of those that were taught."""
    state = student.state_dict()
    name = f"{student.base_model_prefix}.embeddings.position_embeddings.weight"
    taught = state[name]
    state[name] = torch.cat([taught, taught.mean(0).expand(positions - len(taught), -1)])
    config = copy.deepcopy(student.config)
    config.max_position_embeddings = positions
    with torch.random.fork_rng():
        longer = type(student)(config)
    longer.load_state_dict(state)
    return longer
