"""An exported student's tokenizer: what it leaves, what it cuts, and that the student has room for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from l2a_gym.distill.checkpoint import load_teacher, load_tokenizer
from l2a_gym.distill.cut import CHARACTERS, cutting_tokenizer, lengthen
from l2a_gym.tasks.registry import make_task

LENGTH = 16
ENDLESS = {
    "words": "good film " * 5000,
    "letters": "z " * 5000,
    "signs": "!" * 5000,
    "one word": "a" * 5000,
    "special tokens": "[SEP]" * 5000,
    "special tokens between words": "good [MASK] bad [UNK] " * 5000,
    "emoji": "\N{GRINNING FACE}" * 5000,
    "accents": "e\N{COMBINING ACUTE ACCENT}" * 5000,
    "blanks": " " * 5000 + "good",
    "lines": "good\n" * 5000,
}


@pytest.fixture(scope="module")
def whole(small: dict[str, Any]) -> PreTrainedTokenizerFast:
    return load_tokenizer(small["checkpoint"])


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_no_text_gives_more_than_the_student_has_room_for(whole: PreTrainedTokenizerFast, text: str) -> None:
    reader = cutting_tokenizer(whole, LENGTH, pairs=False)
    ids = reader(text)["input_ids"]
    assert len(ids) <= reader.model_max_length
    assert ids == reader(text, truncation=True)["input_ids"]
    paired = cutting_tokenizer(whole, LENGTH, pairs=True)
    ids = paired(text, text)["input_ids"]
    assert len(ids) <= paired.model_max_length
    assert ids == paired(text, text, truncation=True)["input_ids"]


def test_what_is_left_are_the_first_characters(whole: PreTrainedTokenizerFast) -> None:
    single, paired = (cutting_tokenizer(whole, LENGTH, pairs) for pairs in (False, True))
    assert single.tokenize("!" * 5000) == ["[UNK]"] * (CHARACTERS * LENGTH)
    assert single("abc " * 5000)["input_ids"] == single("abc " * (CHARACTERS * LENGTH // 4))["input_ids"]
    assert paired.tokenize("!" * 5000) == ["[UNK]"] * (CHARACTERS * LENGTH // 2)


def test_texts_of_the_taught_length_keep_their_ids(small: dict[str, Any], whole: PreTrainedTokenizerFast) -> None:
    reader, texts = cutting_tokenizer(whole, LENGTH, pairs=False), list(make_task(small["task"]).test.text)
    assert reader(texts)["input_ids"] == whole(texts)["input_ids"]


def test_a_pair_comes_with_segments(whole: PreTrainedTokenizerFast) -> None:
    inputs = cutting_tokenizer(whole, LENGTH, pairs=True)("good film", "bad")
    assert inputs["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert inputs["attention_mask"] == [1] * 6


def test_the_file_alone_cuts_and_pads_nothing(whole: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    whole(["good", "good film"], padding="max_length", truncation=True, max_length=9)  # what stays in its state
    reader = cutting_tokenizer(whole, LENGTH, pairs=False)
    reader.save_pretrained(tmp_path)
    alone = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert (alone.padding, alone.truncation) == (None, None)
    for text in ("good film", ENDLESS["words"]):
        assert alone.encode(text).ids == reader(text)["input_ids"]
        assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == reader(text)["input_ids"]


def test_pieces_of_bytes_have_room_as_well() -> None:
    """UTF-8 has up to four bytes a character."""
    pieces = ["<pad>", "<s>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    whole = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")
    reader = cutting_tokenizer(whole, LENGTH, pairs=False)
    ids = reader(ENDLESS["emoji"])["input_ids"]
    assert len(ids) == 4 * CHARACTERS * LENGTH + 1  # and the blank before the text
    assert len(ids) <= reader.model_max_length


def test_an_albert_gets_longer_as_well() -> None:
    """Of this kind are pruned students; its positions are as narrow as its words."""
    shape = {"embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_hidden_groups": 2}
    config = AlbertConfig(
        vocab_size=50, max_position_embeddings=8, num_attention_heads=2, intermediate_size=16, **shape
    )
    student, ids = AlbertForSequenceClassification(config).eval(), torch.arange(8)[None]
    longer = lengthen(student, 30).eval()
    with torch.no_grad():
        torch.testing.assert_close(longer(input_ids=ids).logits, student(input_ids=ids).logits)
        assert longer(input_ids=ids.repeat(1, 4)[:, :30]).logits.isfinite().all()


def test_a_longer_student_says_the_same_of_what_was_taught(small: dict[str, Any]) -> None:
    student = load_teacher(small["checkpoint"], 2, 0).eval()
    before = torch.random.get_rng_state()
    longer = lengthen(student, 100).eval()
    assert torch.equal(torch.random.get_rng_state(), before)
    ids = torch.arange(5, 37)[None]
    with torch.no_grad():
        torch.testing.assert_close(longer(input_ids=ids).logits, student(input_ids=ids).logits)
        assert longer(input_ids=ids.repeat(1, 4)[:, :100]).logits.isfinite().all()
    taught, now = (model.base_model.embeddings.position_embeddings.weight for model in (student, longer))
    assert (taught.shape, now.shape) == ((32, 32), (100, 32))
    assert torch.equal(now[:32], taught)
    torch.testing.assert_close(now[32:], taught.mean(0).expand(68, -1))
    assert (student.config.max_position_embeddings, longer.config.max_position_embeddings) == (32, 100)
