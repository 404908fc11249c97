"""The student's own forward pass against that of its class in transformers, in float64."""

from __future__ import annotations

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
from l2a_gym.distill.forward import Forward

LENGTH = 9
SIZES = {"vocab_size": 40, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 20}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": LENGTH}


def student(kind: str, layers: int) -> PreTrainedModel:
    """A classifier whose every parameter differs from its start value, norms and biases too."""
    shape = {**SIZES, **QUIET, "num_hidden_layers": layers, "num_labels": 3}
    with torch.random.fork_rng():
        torch.manual_seed(layers)
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
    forward = Forward(model)
    pooled = forward.pooled(tokens)
    torch.testing.assert_close(pooled, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(forward(tokens).logits, logits.float())
    found = gradients(model, (model.classifier(pooled) * mixed).sum())
    assert max(float(each.abs().max()) for each in expected.values()) > 0.1
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-11, msg=name)


def test_a_text_does_not_depend_on_the_texts_beside_it() -> None:
    forward, tokens = Forward(student("bert", 2)), texts(pairs=True)
    together = forward.pooled(tokens)
    alone = torch.cat([forward.pooled(tokens.take(torch.tensor([row]))) for row in range(len(tokens))])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_the_parameters_are_the_models_own() -> None:
    model, tokens = student("albert", 2), texts(pairs=False)
    forward = Forward(model)
    before = forward.pooled(tokens)
    state = {name: value * 1.5 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    after = forward.pooled(tokens)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, model.base_model(**tokens.inputs()).pooler_output, rtol=0, atol=1e-12)
