"""Layer maps, and the states of models against what Hugging Face gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from l2a_gym.distill.layers import LAYER_MAPS, TOKEN_AXES, layer_map, match_layers, set_attention, states
from l2a_gym.distill.losses import EXTRA_LOSSES
from l2a_gym.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "student", "teacher", "pairs"),
    [
        ("uniform", 2, 6, [(1, 3), (2, 6)]),
        ("uniform", 4, 12, [(1, 3), (2, 6), (3, 9), (4, 12)]),
        ("uniform", 3, 3, [(1, 1), (2, 2), (3, 3)]),
        ("uniform", 1, 5, [(1, 5)]),
        ("skip", 6, 12, [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]),
        ("skip", 2, 6, [(1, 3)]),
        ("last", 4, 6, [(1, 3), (2, 4), (3, 5), (4, 6)]),
        ("last", 1, 12, [(1, 12)]),
        ("last", 2, 2, [(1, 1), (2, 2)]),
    ],
)
def test_pairs_of_layers(name: str, student: int, teacher: int, pairs: list[tuple[int, int]]) -> None:
    assert layer_map(name, student, teacher) == tuple(pairs)


@pytest.mark.parametrize(
    ("name", "student", "teacher", "end"),
    [
        (
            "uniform",
            4,
            6,
            "the teacher's number must be a multiple of the student's; "
            "valid are layer_map = 'last', student layers = 3",
        ),
        (
            "skip",
            5,
            12,
            "the teacher's number must be a multiple of the student's, which must be 2 or more; "
            "valid are layer_map = 'last', student layers = 4",
        ),
        (
            "skip",
            1,
            6,
            "the teacher's number must be a multiple of the student's, which must be 2 or more; "
            "valid are layer_map = 'uniform', layer_map = 'last', student layers = 2",
        ),
        (
            "last",
            4,
            2,
            "the teacher must have as many as the student, or more; valid are student layers = 2",
        ),
        (
            "skip",
            2,
            1,
            "the teacher's number must be a multiple of the student's, which must be 2 or more; "
            "valid are hidden = attention = patience = 0",
        ),
    ],
)
def test_layers_that_a_map_cannot_match(name: str, student: int, teacher: int, end: str) -> None:
    with pytest.raises(UserError) as caught:
        layer_map(name, student, teacher)
    start = f"layer_map = {name!r} can't match student layers = {student} to teacher layers = {teacher}: "
    assert str(caught.value) == start + end


@pytest.mark.parametrize("name", LAYER_MAPS)
def test_what_an_error_calls_valid_is_valid(name: str) -> None:
    for student in range(1, 14):
        for teacher in range(1, 14):
            try:
                pairs = layer_map(name, student, teacher)
            except UserError as error:
                _, _, valid = str(error).partition("; valid are ")
                for choice in valid.split(", "):
                    if choice.startswith("layer_map"):
                        layer_map(choice.split("'")[1], student, teacher)
                    elif choice.startswith("student layers"):
                        layer_map(name, int(choice.split()[-1]), teacher)
            else:
                assert pairs
                assert all(1 <= own <= student and 1 <= other <= teacher for own, other in pairs)
                assert pairs == tuple(sorted(pairs))


def test_unknown_map() -> None:
    with pytest.raises(
        UserError, match=r"^unknown layer_map 'lst': did you mean 'last'\? valid are uniform, skip, last$"
    ):
        layer_map("lst", 2, 6)


def bert(layers: int, width: int, heads: int) -> BertConfig:
    return BertConfig(num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads)


def test_each_loss_has_its_layers() -> None:
    assert list(TOKEN_AXES) == list(EXTRA_LOSSES)
    pairs = match_layers(TOKEN_AXES, "last", bert(2, 8, 2), bert(6, 12, 4))
    assert pairs == {
        "hidden": ((1, 5), (2, 6)),
        "attention": ((1, 5), (2, 6)),
        "embedding": ((0, 0),),
        "patience": ((1, 5), (2, 6)),
        "relation": ((2, 6),),
    }


def test_losses_without_a_map_need_none() -> None:
    assert match_layers(["embedding", "relation"], "uniform", bert(4, 8, 2), bert(6, 12, 4)) == {
        "embedding": ((0, 0),),
        "relation": ((4, 6),),
    }
    assert match_layers([], "uniform", bert(4, 8, 2), bert(6, 12, 4)) == {}


def test_relation_heads_that_do_not_divide_the_teacher() -> None:
    with pytest.raises(UserError, match=r"^relation: the teacher's width 16 can't be cut into the 3 heads of the stu"):
        match_layers(["relation"], "last", bert(2, 12, 3), bert(6, 16, 4))
    match_layers(["hidden"], "last", bert(2, 12, 3), bert(6, 16, 4))


SHAPE: dict[str, Any] = {"num_hidden_layers": 3, "num_attention_heads": 2}
SMALL: dict[str, Any] = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 20}
FAMILIES: list[PreTrainedConfig] = [
    BertConfig(**SHAPE, **SMALL),
    RobertaConfig(**SHAPE, **SMALL),
    ElectraConfig(**SHAPE, **SMALL, embedding_size=8),
    AlbertConfig(**SHAPE, **SMALL, embedding_size=8),
    MPNetConfig(**SHAPE, **SMALL),
    DebertaV2Config(**SHAPE, **SMALL),
    DistilBertConfig(vocab_size=50, dim=16, n_layers=3, n_heads=2, hidden_dim=24, max_position_embeddings=20),
]
families = pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.model_type)
EVERY = {"hidden": (1, 3), "attention": (2, 3), "embedding": (0,), "patience": (3, 2), "relation": (3,)}


def new_model(config: PreTrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config).base_model
    set_attention(model, EVERY, CPU)
    return model.eval()


def inputs() -> dict[str, torch.Tensor]:
    ids = torch.randint(5, 50, (4, 7), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": (torch.arange(7) < torch.tensor([[7], [3], [5], [2]])).long()}


def last_values(model: PreTrainedModel, last_input: torch.Tensor) -> torch.Tensor:
    """The projection written out, from the one weight of its kind in the last layer."""
    ends = ("value.weight", "v_lin.weight", ".v.weight", "value_proj.weight")
    name = [name for name in model.state_dict() if name.endswith(ends)][-1]
    return last_input @ model.state_dict()[name].T + model.state_dict()[name.replace("weight", "bias")]


@families
def test_states_are_those_of_the_model(config: PreTrainedConfig) -> None:
    model = new_model(config)
    with torch.no_grad():
        whole = model(**inputs(), output_hidden_states=True, output_attentions=True)
        output, got = states(model, inputs(), EVERY)
        expected = {
            "hidden": [whole.hidden_states[1], whole.hidden_states[3]],
            "attention": [whole.attentions[1].mean(1), whole.attentions[2].mean(1)],
            "embedding": [whole.hidden_states[0]],
            "patience": [whole.hidden_states[3][:, 0], whole.hidden_states[2][:, 0]],
            "relation": [last_values(model, whole.hidden_states[2])],
        }
    assert torch.equal(output.last_hidden_state, whole.last_hidden_state)
    assert got.keys() == expected.keys()
    for loss, tensors in expected.items():
        assert len(got[loss]) == len(tensors)
        for one, two in zip(got[loss], tensors, strict=True):
            assert one.dtype == torch.float32
            assert one.ndim == 1 + TOKEN_AXES[loss] + (loss != "attention")
            torch.testing.assert_close(one, two)
    assert not any(module._forward_hooks for name, module in model.named_modules() if name.endswith(("value", "v_lin")))


def test_attention_sums_to_one_over_real_tokens() -> None:
    given = inputs()
    [attention] = states(new_model(FAMILIES[0]), given, {"attention": (1,)})[1]["attention"]
    torch.testing.assert_close(attention.sum(2), torch.ones(4, 7))
    assert (attention.transpose(1, 2)[given["attention_mask"] == 0] == 0).all()


def test_gradients_flow_through_states() -> None:
    model = new_model(FAMILIES[0])
    for loss, (layer, *_) in EVERY.items():
        model.zero_grad()
        states(model, inputs(), {loss: (layer,)})[1][loss][0].square().sum().backward()
        assert float(model.embeddings.word_embeddings.weight.grad.abs().sum()) > 0, loss
        assert model.pooler.dense.weight.grad is None


def test_nothing_asked_costs_nothing() -> None:
    model, asked = new_model(FAMILIES[0]), []
    forward = model.forward

    def spy(**arguments: Any) -> Any:
        asked.append(set(arguments))
        return forward(**arguments)

    model.forward = spy
    assert states(model, inputs(), {})[1] == {}
    states(model, inputs(), {"relation": (3,)})
    states(model, inputs(), {"attention": (1,)})
    plain = {"input_ids", "attention_mask"}
    assert asked == [plain, plain, {*plain, "output_attentions"}]


def test_only_attention_needs_the_slow_one() -> None:
    model = new_model(FAMILIES[0])
    for losses, expected in ((["hidden", "attention"], "eager"), (["hidden"], "sdpa"), ([], "sdpa")):
        set_attention(model, losses, torch.device("cuda"))
        assert model.config._attn_implementation == expected


def test_model_without_values() -> None:
    with pytest.raises(
        UserError, match=r"^relation: a Linear has no value projection of its own; valid is relation = 0"
    ):
        states(torch.nn.Linear(2, 2), {}, {"relation": (1,)})
