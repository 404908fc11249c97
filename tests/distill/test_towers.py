"""Students of pairs: each side is read alone, and the classifier compares both."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
)

from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Forward, Outputs, kind_of, parameters_of
from l2a_gym.distill.packing import padded_size
from l2a_gym.distill.towers import PairAlbert, PairBert, load_student, two_towers
from l2a_gym.errors import UserError

CLS, SEP, LENGTH, WIDTH = 1, 2, 12, 12
SIDES = [
    ([5], [6, 7, 8]),
    ([9, 10, 11], [12]),
    ([5, 6, 7, 8], [5, 6, 7, 8]),
    ([20], [21]),
    ([30, 31], list(range(12, 18))),
]
KINDS = pytest.mark.parametrize("kind", ["bert", "albert"])


def pairs(sides: list[tuple[list[int], list[int]]]) -> Tokens:
    rows = [[CLS, *a, SEP, *b, SEP] for a, b in sides]
    ids = torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows], dtype=torch.int32)
    return Tokens(ids, torch.tensor([len(row) for row in rows]), torch.tensor([len(a) + 2 for a, _ in sides]))


def student(kind: str, layers: int = 2) -> PreTrainedModel:
    """Every parameter differs from its start value, norms and biases too."""
    shape: dict[str, Any] = {
        **{"vocab_size": 40, "hidden_size": WIDTH, "num_attention_heads": 3, "intermediate_size": 20},
        **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": LENGTH},
        **{"num_hidden_layers": layers, "num_labels": 3, "id2label": {0: "no", 1: "maybe", 2: "yes"}},
    }
    with torch.random.fork_rng():
        torch.manual_seed(layers)
        cut: dict[str, Any] = {"embedding_size": 5, "num_hidden_groups": layers, "classifier_dropout_prob": 0.0}
        text: PreTrainedModel = (
            BertForSequenceClassification(BertConfig(**shape))
            if kind == "bert"
            else AlbertForSequenceClassification(AlbertConfig(**shape, **cut, pad_token_id=0))
        )
        towers = two_towers(text)
        for parameter in towers.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
    return towers.eval()


def read(model: PreTrainedModel, tokens: Tokens) -> Outputs:
    """By the students' own forward pass."""
    names = kind_of(model)
    texts = names.texts(tokens).of_one()
    outputs = Forward(parameters_of(model), names, model.config)(texts, padded_size(int(texts.length.sum())))
    return Outputs(outputs.logits[0], outputs.pooled[0])


def gradients(model: PreTrainedModel, logits: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (logits * torch.linspace(-1, 2, logits.numel()).view_as(logits)).sum().backward()
    named = model.named_parameters()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in named}


def test_sides_of_a_pair() -> None:
    sides = pairs([([5], [6, 7, 8]), ([9, 10], [])]).sides()
    assert sides.length.tolist() == sides.first.tolist() == [3, 5, 4, 2]
    shown = [ids[:n] for ids, n in zip(sides.ids.tolist(), sides.length.tolist(), strict=True)]
    assert shown == [[CLS, 5, SEP], [CLS, 6, 7, 8, SEP], [CLS, 9, 10, SEP], [CLS, SEP]]
    assert not any(ids[n:].any() for ids, n in zip(sides.ids, sides.length.tolist(), strict=True))
    many = pairs(SIDES).take(torch.tensor([[0, 1], [4, 2]])).sides()
    assert torch.equal(many.ids[1], pairs([SIDES[4], SIDES[2]]).sides().ids)


@KINDS
@pytest.mark.parametrize("layers", [1, 2])
def test_outputs_and_gradients_are_those_of_the_class(kind: str, layers: int) -> None:
    model, tokens = student(kind, layers), pairs(SIDES)
    logits, own = model(**tokens.inputs()).logits, read(model, tokens).logits
    torch.testing.assert_close(own, logits, rtol=0, atol=1e-5)
    expected, found = gradients(model, logits), gradients(model, own)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4, msg=name)


@KINDS
def test_a_side_is_the_pooled_mean_of_its_states(kind: str) -> None:
    model = student(kind)
    pooler = model.bert.pooler.dense if kind == "bert" else model.albert.pooler
    states = (model.base_model(torch.tensor([[CLS, *side, SEP]])).last_hidden_state for side in SIDES[0])
    a, b = (torch.tanh(pooler(state.mean(1))) for state in states)
    expected = model.classifier(torch.cat([a, b, (a - b).abs(), a * b], 1))
    torch.testing.assert_close(model(**pairs(SIDES[:1]).inputs()).logits, expected)


@KINDS
def test_a_side_does_not_see_the_other(kind: str) -> None:
    model = student(kind)
    one, two = (read(model, pairs([([5, 6], other)])).pooled[0] for other in ([7], [8, 9, 10]))
    torch.testing.assert_close(one[:WIDTH], two[:WIDTH], rtol=0, atol=1e-6)
    assert (one[WIDTH : 2 * WIDTH] - two[WIDTH : 2 * WIDTH]).abs().max() > 0.01
    turned = read(model, pairs([([8, 9, 10], [5, 6])])).pooled[0]
    torch.testing.assert_close(turned.view(4, WIDTH)[[1, 0, 2, 3]], two.view(4, WIDTH), rtol=0, atol=1e-6)


@KINDS
def test_padded_batches_say_what_single_pairs_say(kind: str) -> None:
    model, tokens = student(kind), pairs(SIDES)
    alone = [tokens.take(torch.tensor([row])) for row in range(len(tokens))]
    torch.testing.assert_close(
        model(**tokens.inputs()).logits, torch.cat([model(**each.inputs()).logits for each in alone])
    )
    torch.testing.assert_close(
        read(model, tokens).logits, torch.cat([read(model, each).logits for each in alone]), rtol=0, atol=1e-5
    )


ALONE = """
import json, sys, transformers
said = []
for folder in sys.argv[1:]:
    for name in ("AutoModel", "AutoModelForSequenceClassification"):
        try:
            said.append(type(getattr(transformers, name).from_pretrained(folder)).__name__)
        except ValueError as error:
            said.append(str(error))
print(json.dumps(said))
"""


def test_a_folder_is_loaded_by_us_and_by_nobody_else(tmp_path: Path) -> None:
    for kind, towers in {"bert": PairBert, "albert": PairAlbert}.items():
        model, inputs = student(kind), pairs(SIDES).inputs()
        model.save_pretrained(tmp_path / kind)
        loaded = load_student(tmp_path / kind)
        assert type(loaded) is type(model) is towers
        assert loaded.config.id2label == {0: "no", 1: "maybe", 2: "yes"}
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
    folders = [str(tmp_path / kind) for kind in ("bert", "albert")]
    done = subprocess.run([sys.executable, "-c", ALONE, *folders], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert len(said) == 4
    for kind, sentence in zip(("bert", "bert", "albert", "albert"), said, strict=True):
        assert f"model type `l2a-towers-{kind}` but Transformers does not recognize" in sentence


def test_single_texts_are_refused() -> None:
    inputs = pairs(SIDES).inputs()
    for missing in ({}, {"token_type_ids": torch.zeros_like(inputs["input_ids"])}):
        with pytest.raises(UserError, match=r"^this student reads pairs of texts: give it text and text_pair$"):
            student("bert")(inputs["input_ids"], inputs["attention_mask"], **missing)
