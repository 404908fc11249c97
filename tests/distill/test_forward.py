"""The student's own forward pass against that of its class in transformers, in float64."""

from __future__ import annotations

from collections.abc import Sequence

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
from l2a_gym.distill.forward import Forward, kind_of, parameters_of
from l2a_gym.distill.packing import padded_size

LENGTH = 9
SIZES = {"vocab_size": 40, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": LENGTH}


def student(kind: str, layers: int, seed: int = 0) -> PreTrainedModel:
    """A classifier whose every parameter differs from its start value, norms and biases too."""
    shape = {**SIZES, **QUIET, "num_hidden_layers": layers, "num_labels": 3}
    with torch.random.fork_rng():
        torch.manual_seed(10 * layers + seed)
        if kind == "bert":
            model: PreTrainedModel = BertForSequenceClassification(BertConfig(**shape))
        else:
            cut = {"embedding_size": 5, "num_hidden_groups": layers, "hidden_act": "gelu"}
            config = AlbertConfig(**shape, **cut, classifier_dropout_prob=0.0, pad_token_id=0)
            model = AlbertForSequenceClassification(config)
        for parameter in model.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape)
    model.set_attn_implementation("eager")
    return model.double().eval()


def texts(pairs: bool) -> Tokens:
    draw = torch.Generator().manual_seed(1)
    length = torch.tensor([4, 9, 2, 7, 7])
    first = torch.tensor([3, 4, 1, 7, 2]) if pairs else length
    ids = torch.randint(3, 40, (5, LENGTH), generator=draw) * (torch.arange(LENGTH) < length[:, None])
    return Tokens(ids.int(), length, first)


def forward_of(models: Sequence[PreTrainedModel]) -> Forward:
    """Of students side by side; gradients reach each one's own parameters."""
    each = [parameters_of(model) for model in models]
    tensors = {name: torch.cat([own[name] for own in each]) for name in each[0]}
    return Forward(tensors, kind_of(models[0]), models[0].config)


def read(forward: Forward, tokens: Tokens) -> Tensor:
    """The pooled vectors (E, n, H) of texts (E, n)."""
    return forward.pooled(tokens.cut(int(tokens.length.max())), padded_size(int(tokens.length.sum(1).max())))


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    """Of every parameter; zero where the loss does not reach it."""
    model.zero_grad()
    loss.backward()
    named = model.named_parameters()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in named}


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_outputs_and_gradients_are_those_of_transformers(kind: str, layers: int, pairs: bool) -> None:
    model, tokens = student(kind, layers), texts(pairs)
    whole = model.base_model(**tokens.inputs()).pooler_output
    logits = model.classifier(whole)
    mixed = torch.linspace(-1, 2, logits.numel(), dtype=torch.float64).view_as(logits)
    expected = gradients(model, (logits * mixed).sum())
    forward = forward_of([model])
    pooled = read(forward, tokens.of_one())[0]
    torch.testing.assert_close(pooled, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(forward(tokens.of_one(), 64).logits[0], logits, rtol=0, atol=1e-12)
    found = gradients(model, (forward.classifier(pooled[None]) * mixed).sum())
    assert max(float(each.abs().max()) for each in expected.values()) > 0.1
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-11, msg=name)


def test_a_text_does_not_depend_on_the_texts_beside_it() -> None:
    forward, tokens = forward_of([student("bert", 2)]), texts(pairs=True)
    together = read(forward, tokens.of_one())[0]
    alone = torch.cat([read(forward, tokens.take(torch.tensor([[row]])))[0] for row in range(len(tokens))])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_room_for_more_and_longer_texts_changes_nothing() -> None:
    """Shapes are rounded up on a GPU: tokens that fill up are read by nobody, and give no gradient."""
    model, tokens = student("bert", 3), texts(pairs=True).take(torch.tensor([[0, 2, 3, 4]]))
    forward = forward_of([model])
    exact, roomy = forward.pooled(tokens.cut(LENGTH - 2), int(tokens.length.sum())), forward.pooled(tokens, 200)
    torch.testing.assert_close(exact, roomy, rtol=0, atol=1e-12)
    found = [gradients(model, each.square().sum()) for each in (exact, roomy)]
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=0, atol=1e-11, msg=name)


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_students_side_by_side_are_as_if_alone(kind: str) -> None:
    """Texts differ in number of tokens from student to student; outputs and gradients are each one's own."""
    models, tokens = [student(kind, 2, seed) for seed in range(3)], texts(pairs=True)
    shown = [tokens.take(torch.tensor(rows)) for rows in ([0, 1, 2], [4, 3, 1], [2, 2, 0])]
    expected = []
    for model, own in zip(models, shown, strict=True):
        whole = model.base_model(**own.inputs()).pooler_output
        expected.append((whole.detach(), gradients(model, model.classifier(whole).square().sum())))
    forward = forward_of(models)
    pooled = read(
        forward, Tokens(*(torch.stack([getattr(own, part) for own in shown]) for part in ("ids", "length", "first")))
    )
    for model in models:
        model.zero_grad()
    forward.classifier(pooled).square().sum().backward()
    for model, found, (whole, gradient) in zip(models, pooled, expected, strict=True):
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)
        for name, parameter in model.named_parameters():
            mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(mine, gradient[name], rtol=0, atol=1e-11, msg=name)
