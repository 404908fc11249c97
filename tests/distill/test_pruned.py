"""A student cut out of its teacher: layers as they were where only idle units are dropped; the size that is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.export import export
from l2a_gym.distill.pruned import count_pruned, prune, pruned_config
from l2a_gym.distill.student import RATIO, shape_student, vocabulary_limit
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError

VOCABULARY, LENGTH, WIDTH = 60, 12, 24


def new_teacher(inner: int = 2 * WIDTH, layers: int = 3) -> BertForSequenceClassification:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForSequenceClassification(
            BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=WIDTH,
                num_hidden_layers=layers,
                num_attention_heads=4,
                intermediate_size=inner,
                max_position_embeddings=32,
                initializer_range=0.3,
            )
        ).eval()


def texts() -> Tokens:
    draw = torch.Generator().manual_seed(1)
    length = torch.randint(4, LENGTH + 1, (80,), generator=draw)
    ids = torch.randint(1, VOCABULARY, (80, LENGTH), generator=draw) * (torch.arange(LENGTH) < length[:, None])
    return Tokens(ids.int(), length, length)


def cut(teacher: BertForSequenceClassification, seed: int = 0) -> AlbertForSequenceClassification:
    return prune(teacher, pruned_config(teacher, VOCABULARY, 2, LENGTH, 0), texts(), seed).eval()


@torch.no_grad()
def layer_of(student: AlbertForSequenceClassification, number: int, hidden: Tensor) -> Tensor:
    return student.albert.encoder.albert_layer_groups[number].albert_layers[0](hidden)


@torch.no_grad()
@pytest.mark.parametrize("inner", [WIDTH, 3 * WIDTH])
def test_layers_do_what_they_did_where_only_idle_units_are_dropped(inner: int) -> None:
    teacher = new_teacher(inner)
    for layer in teacher.bert.encoder.layer:
        idle = torch.randperm(inner, generator=torch.Generator().manual_seed(2))[: inner - WIDTH]
        layer.output.dense.weight.data[:, idle] = 0
    student = cut(teacher)
    hidden = torch.randn(5, 7, WIDTH, generator=torch.Generator().manual_seed(3))
    assert student.config.num_hidden_layers == len(student.albert.encoder.albert_layer_groups) == 2
    for number in range(2):
        torch.testing.assert_close(layer_of(student, number, hidden), teacher.bert.encoder.layer[number](hidden))


@torch.no_grad()
def test_the_units_that_are_kept_matter_more_than_others() -> None:
    """Nearer to the teacher's layer on the texts themselves than with as many units drawn at random."""
    teacher = new_teacher(6 * WIDTH)
    student, tokens = cut(teacher), texts().inputs()
    states = teacher.bert(**tokens, output_hidden_states=True).hidden_states
    whole, layer = teacher.bert.encoder.layer[0], student.albert.encoder.albert_layer_groups[0].albert_layers[0]

    def distance() -> float:
        return float((layer_of(student, 0, states[0]) - whole(states[0])).square().mean())

    kept, random = distance(), []
    for seed in range(5):
        units = torch.randperm(6 * WIDTH, generator=torch.Generator().manual_seed(seed))[:WIDTH]
        layer.ffn.weight.copy_(whole.intermediate.dense.weight[units])
        layer.ffn.bias.copy_(whole.intermediate.dense.bias[units])
        layer.ffn_output.weight.copy_(whole.output.dense.weight[:, units])
        random.append(distance())
    assert kept < min(random)


def test_words_keep_their_distances_where_the_rank_is_enough() -> None:
    teacher = new_teacher()
    rank = pruned_config(teacher, VOCABULARY, 2, LENGTH, 0).embedding_size
    assert rank == round(7 / 24 * WIDTH)
    draw = torch.Generator().manual_seed(4)
    words = torch.randn(VOCABULARY, rank, generator=draw) @ torch.randn(rank, WIDTH, generator=draw)
    teacher.bert.embeddings.word_embeddings.weight.data.copy_(words)
    own = cut(teacher).get_input_embeddings().weight.detach()
    torch.testing.assert_close(torch.pdist(own), torch.pdist(words), rtol=1e-3, atol=1e-3)


def test_a_cut_depends_on_its_seed_alone() -> None:
    teacher, before = new_teacher(), torch.get_rng_state()
    first = cut(teacher).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    again, other = (cut(teacher, seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert {name.rpartition(".")[0] for name in first if not torch.equal(first[name], other[name])} <= {
        "albert.pooler",
        "classifier",
    }


def test_size_is_that_of_a_real_model_and_within_the_share() -> None:
    teacher = load_teacher("embedded", 2, 0)
    limit = vocabulary_limit("pruned", teacher, 2, 48)
    assert limit is not None
    sizes = []
    for pieces in (limit, limit + 1):
        config = pruned_config(teacher, pieces, 2, 48, 0)
        sizes.append(sum(p.numel() for p in AlbertForSequenceClassification(config).parameters()))
        assert count_pruned(config) == sizes[-1]
    assert sizes[0] <= RATIO * teacher.num_parameters() < sizes[1]


def test_a_teacher_of_another_kind_is_refused() -> None:
    distil = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=9, dim=8, n_layers=1, n_heads=2))
    message = "student = 'pruned' needs a BERT as its teacher, not a DistilBertForSequenceClassification"
    with pytest.raises(UserError, match=message):
        shape_student("pruned", distil, 9, 2, 8, 0)


def test_it_learns_in_the_environment_and_leaves_it_as_a_folder(small: dict[str, Any], tmp_path: Path) -> None:
    env = DistillAugEnv(**small, student="pruned")
    assert env.batch.students.distillers[0].config.learning_rate == pytest.approx(
        0.6 * DistillAugEnv(**small).setup.distillation.learning_rate
    )
    _, info = env.reset(seed=0)
    first, done = info["dev_nll"], False
    while not done:
        _, _, done, _, info = env.step(np.ones(env.candidates, dtype=np.float32))
    assert info["dev_nll"] < first
    prepared = env.world.prepared
    export(env.student, prepared.tokenizer(), tmp_path / "student", lambda _: None)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student").eval()
    tokens = prepared.tokens(prepared.rows["dev"])
    with torch.no_grad():
        logits = model(**tokens.inputs()).logits
    torch.testing.assert_close(logits, env.predict(tokens), rtol=0, atol=0.02)  # bf16 where it is fast
