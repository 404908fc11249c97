"""Shapes and sizes of the presets, the start by principal components, and general distillation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification

from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.student import (
    RATIO,
    GeneralDistillation,
    count_parameters,
    distil_generally,
    new_student,
    student_config,
    student_names,
    vocabulary_limit,
)
from l2a_gym.distill.teacher import embedding_table
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError

TEACHER = 22_713_216 + 384 * 2 + 2
"""Parameters of the embedded teacher with a head for two classes."""
POOL = 17_800
"""Vocabulary of the default's pool, about."""


def size(preset: str, vocabulary: int = POOL, teacher: int = TEACHER) -> int:
    return count_parameters(student_config(preset, vocabulary, 2, 48, teacher, 0))


def test_presets() -> None:
    assert student_names() == ["tiny", "tinybert", "ratio", "pruned"]
    for name, shape in {"tiny": (2, 128, 4, 512), "tinybert": (4, 312, 12, 1200)}.items():
        config = student_config(name, 1000, 3, 48, TEACHER, 5)
        assert shape == (
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
        )
        assert (config.vocab_size, config.num_labels, config.max_position_embeddings, config.pad_token_id) == (
            1000,
            3,
            48,
            5,
        )
        assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0, 0)


def test_unknown_preset() -> None:
    with pytest.raises(
        UserError, match=r"unknown student 'tinny': did you mean 'tiny'\? valid are tiny, tinybert, ratio"
    ):
        student_config("tinny", 1000, 2, 48, TEACHER, 0)


def test_a_vocabulary_at_its_limit_gives_the_share() -> None:
    teacher, large = load_teacher("embedded", 2, 0), bert_of(layers=12, width=768)
    limit = vocabulary_limit("tiny", teacher, 2, 96)
    assert limit is not None
    share = [count_parameters(student_config("tiny", limit + n, 2, 96, TEACHER, 0)) / TEACHER for n in (0, 1)]
    assert share[0] <= RATIO < share[1]
    assert vocabulary_limit("ratio", teacher, 2, 96) is None
    assert vocabulary_limit("tinybert", teacher, 2, 96) is None  # too wide for this teacher
    assert vocabulary_limit("tinybert", large, 2, 96) is not None


def bert_of(layers: int, width: int) -> BertForSequenceClassification:
    """A BERT without memory for its weights: it can be counted, no more."""
    with torch.device("meta"):
        return BertForSequenceClassification(BertConfig(num_hidden_layers=layers, hidden_size=width))


@pytest.mark.parametrize("preset", ["tiny", "tinybert", "ratio"])
@pytest.mark.parametrize("classes", [2, 7])
def test_count_is_that_of_a_real_model(preset: str, classes: int) -> None:
    config = student_config(preset, 500, classes, 40, 3_000_000, 0)
    model = BertForSequenceClassification(config)
    assert count_parameters(config) == sum(parameter.numel() for parameter in model.parameters())


def test_embedded_teacher_has_the_parameters_that_are_reckoned_with() -> None:
    assert sum(parameter.numel() for parameter in load_teacher("embedded", 2, 0).parameters()) == TEACHER


def test_small_students_of_the_default_task() -> None:
    assert 0.130 <= size("ratio") / TEACHER <= 0.135
    assert 0.10 <= size("tiny") / TEACHER <= 0.135
    assert size("tinybert") / TEACHER > 0.135


@pytest.mark.parametrize(
    ("vocabulary", "teacher"),
    [(12_000, TEACHER), (16_000, TEACHER), (20_000, TEACHER), (30_522, 109_483_778), (9_000, 67_000_000)],
)
def test_ratio_comes_near_for_other_vocabularies_and_teachers(vocabulary: int, teacher: int) -> None:
    assert size("ratio", vocabulary, teacher) / teacher == pytest.approx(RATIO, abs=0.002)


@pytest.mark.parametrize("vocabulary", [5_000, POOL, 30_522])
def test_ratio_is_a_sane_shape(vocabulary: int) -> None:
    config = student_config("ratio", vocabulary, 2, 48, TEACHER, 0)
    assert config.hidden_size % config.num_attention_heads == 0
    assert 2 <= config.intermediate_size / config.hidden_size <= 4
    assert config.num_hidden_layers in (2, 3, 4, 6)


@pytest.fixture(scope="module")
def embeddings() -> Tensor:
    """The embedded teacher's word embeddings."""
    weight: Tensor = load_teacher("embedded", 2, 0).get_input_embeddings().weight.detach()
    return weight


def test_start_keeps_as_much_of_the_embeddings_as_the_width_allows(embeddings: Tensor) -> None:
    """Reconstruction from the student's 128 columns, against the best that 128 dimensions can do."""
    some = embeddings[::3]
    start = new_student(student_config("tiny", len(some), 2, 48, TEACHER, 0), some, seed=0)
    centred = some.double() - some.double().mean(0)
    columns = start.get_input_embeddings().weight.detach().double()
    lost = (centred - columns @ torch.linalg.lstsq(columns, centred).solution).square().sum()
    best = torch.linalg.svdvals(centred)[128:].square().sum()
    assert 1 - 1e-6 <= float(lost / best) <= 1.01
    gram = columns.T @ columns  # components don't overlap, the leading ones first
    assert float((gram - gram.diag().diag()).abs().max() / gram.max()) < 1e-3
    torch.testing.assert_close(gram.diag(), torch.linalg.svdvals(centred)[:128].square(), rtol=1e-2, atol=0)


def test_start_keeps_distances_where_the_width_is_enough() -> None:
    wide = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    start = new_student(student_config("tiny", 300, 2, 16, TEACHER, 0), wide, seed=0)
    weight = start.get_input_embeddings().weight.detach()
    torch.testing.assert_close(torch.pdist(weight[:, :20]), torch.pdist(wide), rtol=1e-4, atol=1e-4)
    assert float(weight[:, 20:].std()) == pytest.approx(0.02, rel=0.1)


def test_start_depends_on_the_seed_alone() -> None:
    table, config = torch.randn(100, 32), student_config("tiny", 100, 2, 16, TEACHER, 0)
    before = torch.get_rng_state()
    first = new_student(config, table, seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    again, other = (new_student(config, table, seed=seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    key = "bert.encoder.layer.0.intermediate.dense.weight"
    assert not torch.equal(first[key], other[key])


def cosines(vectors: Tensor) -> Tensor:
    unit = F.normalize(vectors, dim=1)
    return unit @ unit.T


def pooled(student: BertForSequenceClassification, tokens: Tokens) -> Tensor:
    with torch.no_grad():
        vectors: Tensor = student.eval().bert(**tokens.inputs()).pooler_output
    return vectors


@pytest.fixture(scope="module")
def sentences() -> tuple[Tensor, Tokens, Tensor]:
    """A word table, texts of 4 to 8 of its words, and their mean vectors as the teacher's."""
    draw = torch.Generator().manual_seed(0)
    table = torch.randn(60, 24, generator=draw)
    length = torch.randint(4, 9, (400,), generator=draw)
    mask = torch.arange(8) < length[:, None]
    ids = torch.randint(1, 60, (400, 8), generator=draw) * mask
    vectors = (table[ids] * mask[..., None]).sum(1) / length[:, None]
    return table, Tokens(ids.int(), length, length), vectors


def distilled(sentences: tuple[Tensor, Tokens, Tensor], updates: int, seed: int = 0) -> BertForSequenceClassification:
    table, tokens, vectors = sentences
    student = new_student(student_config("tiny", 60, 2, 8, TEACHER, 0), table, seed=0)
    if updates:
        seen = torch.arange(300)
        config = GeneralDistillation(updates=updates, batch=32)
        distil_generally(student, tokens.take(seen), vectors[seen], config, seed)
    return student


def test_general_distillation_brings_unseen_texts_near_to_the_teachers_geometry(
    sentences: tuple[Tensor, Tokens, Tensor],
) -> None:
    _, tokens, vectors = sentences
    unseen = torch.arange(300, 400)
    goal = cosines(vectors[unseen] - vectors[:300].mean(0))
    apart = ~torch.eye(100, dtype=torch.bool)

    def agreement(updates: int) -> float:
        own = cosines(pooled(distilled(sentences, updates), tokens.take(unseen)))
        return float(torch.corrcoef(torch.stack([own[apart], goal[apart]]))[0, 1])

    before, after = agreement(0), agreement(120)
    assert after > before + 0.1
    assert after > 0.6


def test_general_distillation_depends_on_its_seed_alone(sentences: tuple[Tensor, Tokens, Tensor]) -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first, start = distilled(sentences, 5).state_dict(), distilled(sentences, 0).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again, other = (distilled(sentences, 5, seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    moved = {name for name in first if not torch.equal(first[name], start[name])}
    assert not {name for name in moved if name.startswith("classifier")}
    assert {"bert.embeddings.word_embeddings.weight", "bert.pooler.dense.weight"} <= moved
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_without_updates_general_distillation_does_nothing(sentences: tuple[Tensor, Tokens, Tensor]) -> None:
    _, tokens, vectors = sentences
    before = torch.get_rng_state()
    student, start = (distilled(sentences, 0) for _ in range(2))
    distil_generally(student, tokens, vectors, GeneralDistillation(updates=0), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(student, start)


def assert_same(one: BertForSequenceClassification, two: BertForSequenceClassification) -> None:
    assert one.state_dict().keys() == two.state_dict().keys()
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


def test_the_environments_student_can_start_without_it(small: dict[str, Any]) -> None:
    """With 0 updates it starts from the principal components alone; with others from somewhere else, each its own."""
    prepared = {n: DistillAugEnv(**small | {"general_updates": n}).world.prepared for n in (0, 2, 1200)}
    bare = prepared[0].student()
    teacher = load_teacher(small["checkpoint"], 2, 0)
    table = embedding_table(teacher)[torch.from_numpy(prepared[0].array("tokens/kept").copy())]
    assert_same(bare, new_student(bare.config, table, seed=0))
    key = "bert.pooler.dense.weight"
    starts = [each.student().state_dict()[key] for each in prepared.values()]
    assert not any(torch.equal(one, two) for i, one in enumerate(starts) for two in starts[:i])
    default = DistillAugEnv(small["task"], checkpoint=small["checkpoint"], device="cpu").world.prepared
    assert default.folder == prepared[1200].folder


@pytest.mark.parametrize("updates", [-1, -800])
def test_updates_of_general_distillation_start_from_zero(small: dict[str, Any], updates: int) -> None:
    message = f"^general_updates = {updates}: valid are whole numbers from 0$"
    with pytest.raises(UserError, match=message):
        GeneralDistillation(updates=updates)
    with pytest.raises(UserError, match=message):
        DistillAugEnv(**small | {"general_updates": updates})
