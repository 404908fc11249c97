"""When two texts are the same."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

import pytest
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from l2a_gym.tasks.normal import normal_form


@pytest.mark.parametrize(
    "text",
    [
        "a lovely cafe\u0301",  # decomposed
        "a lovely cafe",
        "A  LOVELY\tCAF\u00c9 ",
        "a\u200b love\u00adly caf\u00e9\ufeff",  # zero-width space, soft hyphen, byte order mark
        "a\u00a0lovely\u2028caf\u00e9",
        "a \uff4covely caf\u00e9",  # fullwidth
        "a lo\x00vely caf\ufffd\u00e9",
    ],
)
def test_the_same_text_in_other_bytes(text: str) -> None:
    assert normal_form(text) == normal_form("a lovely caf\u00e9") == "alovelycafe"


@pytest.mark.parametrize(
    ("one", "other"), [("a fine film", "a fine film!"), ("great \U0001f600", "great \U0001f61e"), ("good", "food")]
)
def test_other_texts(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@pytest.mark.parametrize(
    "text", ["", " \t\n", "\u200b", "\u00ad\u200d", "\ufeff", "\u0301", "\u3164", "\u2800", "\x07"]
)
def test_texts_in_which_nothing_is_visible(text: str) -> None:
    assert normal_form(text) == ""


def test_no_character_tells_texts_apart_that_a_bert_tokenizer_reads_alike() -> None:
    """Every character before the ideographs, alone and within a word."""
    normalise, split = BertNormalizer(), BertPreTokenizer()
    forms = defaultdict(set)
    for character in map(chr, range(0x3400)):
        if unicodedata.category(character) in ("Cs", "Cn") or character == "\u1734":  # of another class in old tables
            continue
        for text in (character, f"a{character}b"):
            words = split.pre_tokenize_str(normalise.normalize_str(text))
            forms[tuple(word for word, _ in words)].add(normal_form(text))
    assert len(forms) > 5_000
    assert {words: same for words, same in forms.items() if len(same) > 1} == {}
