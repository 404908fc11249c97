"""The student's own forward pass against that of its class in transformers, in float64."""

from __future__ import annotations

from pathlib import Path

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
from l2a_gym.distill.forward import Forward, Stack

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


def gradients(model: PreTrainedModel, loss: Tensor, stack: Stack | None = None) -> dict[str, Tensor]:
    """Of every parameter; zero where the loss does not reach it."""
    model.zero_grad()
    loss.backward()
    if stack is not None:
        stack.hand_out()
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
    stack = Stack([model])
    forward = Forward(stack)
    pooled = forward.pooled(tokens)[0]
    torch.testing.assert_close(pooled, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(forward(tokens).logits, logits.float())
    found = gradients(model, (forward.classifier(pooled[None]) * mixed).sum(), stack)
    assert max(float(each.abs().max()) for each in expected.values()) > 0.1
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-11, msg=name)


def test_a_text_does_not_depend_on_the_texts_beside_it() -> None:
    forward, tokens = Forward(Stack([student("bert", 2)])), texts(pairs=True)
    together = forward.pooled(tokens)[0]
    alone = torch.cat([forward.pooled(tokens.take(torch.tensor([row])))[0] for row in range(len(tokens))])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_the_parameters_are_the_models_own() -> None:
    model, tokens = student("albert", 2), texts(pairs=False)
    forward = Forward(Stack([model]))
    before = forward.pooled(tokens)[0]
    state = {name: value * 1.5 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    after = forward.pooled(tokens)[0]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, model.base_model(**tokens.inputs()).pooler_output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_one_of_several_students_is_saved_as_its_class_in_transformers(kind: str, tmp_path: Path) -> None:
    models, tokens = [student(kind, 2, seed) for seed in range(3)], texts(pairs=True)
    forward = Forward(Stack(models))
    own = forward(Tokens.cat([tokens] * 3)).of(3)[1].logits
    models[1].save_pretrained(tmp_path)
    loaded = type(models[1]).from_pretrained(tmp_path, dtype=torch.float64).eval()
    torch.testing.assert_close(loaded(**tokens.inputs()).logits.float(), own)


@pytest.mark.parametrize("kind", ["bert", "albert"])
def test_students_side_by_side_are_as_if_alone(kind: str) -> None:
    """Texts differ in number of tokens from student to student; outputs and gradients are each one's own."""
    models, tokens = [student(kind, 2, seed) for seed in range(3)], texts(pairs=True)
    shown = [tokens.take(torch.tensor(rows)) for rows in ([0, 1, 2], [4, 3, 1], [2, 2, 0])]
    expected = []
    for model, own in zip(models, shown, strict=True):
        whole = model.base_model(**own.inputs()).pooler_output
        expected.append((whole.detach(), gradients(model, model.classifier(whole).square().sum())))
    stack = Stack(models)
    forward = Forward(stack)
    pooled = forward.pooled(Tokens.cat(shown))
    forward.classifier(pooled).square().sum().backward()
    stack.hand_out()
    for model, found, (whole, gradient) in zip(models, pooled, expected, strict=True):
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)
        for name, parameter in model.named_parameters():
            mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(mine, gradient[name], rtol=0, atol=1e-11, msg=name)
