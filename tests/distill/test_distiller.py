"""The inner step, against a reference in plain PyTorch.

Students here are in float64 where numbers are compared: autocast leaves float64 alone, so the arithmetic is the same on
every processor. The losses are float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification

from l2a_gym.distill.config import Distillation
from l2a_gym.distill.data import Taught
from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.encode import Tokens
from l2a_gym.distill.forward import Outputs
from l2a_gym.distill.gradients import agreement, last_layer_gradient
from l2a_gym.distill.layers import layer_map, states
from l2a_gym.distill.matching import PROJECTED, Features
from l2a_gym.errors import UserError

N, SHOTS, CLASSES, LENGTH = 60, 10, 3, 12
CONFIG = Distillation(learning_rate=1e-2, anchors=4)
ROWS = torch.tensor([5, 44, 17, 3, 58, 29, 30, 11, 2, 50, 21, 36])
ANCHORS = torch.tensor([60, 69, 63, 63, 66, 61, 68, 60, 65, 64, 62, 67])
WEIGHTS = torch.tensor([1.0, 0, 0.5, 0.25, 0, 2, 1, 0, 0.125, 3, 1, 1])


def new_student(seed: int = 0) -> BertForSequenceClassification:
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(vocab_size=50, max_position_embeddings=LENGTH, num_labels=CLASSES, **shape, **quiet)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BertForSequenceClassification(config)


def new_texts() -> Taught:
    """Texts of 3 to 12 tokens with labels and teacher's logits; the last ten are the shots."""
    draw = torch.Generator().manual_seed(0)
    n = N + SHOTS
    length = torch.randint(3, LENGTH + 1, (n,), generator=draw)
    ids = torch.randint(5, 50, (n, LENGTH), generator=draw) * (torch.arange(LENGTH) < length[:, None])
    label = torch.randint(CLASSES, (n,), generator=draw)
    return Taught(Tokens(ids.int(), length, length), label, torch.randn(n, CLASSES, generator=draw) * 2)


@pytest.fixture
def exact() -> Distiller:
    """A distiller whose student is in float64."""
    return Distiller(new_student().double(), new_texts(), CONFIG)


@pytest.fixture
def plain() -> Distiller:
    """A distiller as the environment has it."""
    return Distiller(new_student(), new_texts(), CONFIG)


def weights_of(distiller: Distiller) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in distiller.student.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    """Allow a thousandth of the learning rate: AdamW enlarges rounding where a gradient is next to nothing."""
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=tolerance, msg=name)


def by_hand(
    student: BertForSequenceClassification,
    texts: Taught,
    config: Distillation,
    parts: list[tuple[Tensor, Tensor, Tensor]],
) -> float:
    """Updates on parts (rows, weights, anchors), each formula written out; returns the mean loss."""
    learnt = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=config.learning_rate, weight_decay=config.weight_decay)
    total = 0.0
    for rows, weights, anchors in parts:

        def losses(index: Tensor) -> Tensor:
            ids = texts.tokens.ids[index].long()
            logits = student(input_ids=ids, attention_mask=(ids != 0).long()).logits.double()
            hard = logits.logsumexp(1) - logits[torch.arange(len(index)), texts.label[index]]
            t = config.temperature
            p = (texts.teacher[index].double() / t).softmax(1)
            soft = t**2 * (p * (p.log() - (logits / t).softmax(1).log())).sum(1)
            return (1 - config.alpha) * hard + config.alpha * soft

        loss = losses(anchors).mean()
        if weights.sum() > 0:
            chosen = (weights.double() * losses(rows)).sum() / weights.double().sum()
            loss = config.anchor_share * loss + (1 - config.anchor_share) * chosen
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.square().sum() for p in learnt]).sum().sqrt()
        for p in learnt:
            p.grad *= min(1.0, config.clip / (float(norm) + 1e-6))
        optimizer.step()
        total += float(loss.detach())
    return total / len(parts)


def twin(distiller: Distiller) -> BertForSequenceClassification:
    """A second student with the weights of the first."""
    student = new_student().double()
    student.load_state_dict(distiller.student.state_dict())
    student.get_input_embeddings().weight.requires_grad_(not distiller.config.frozen_embeddings)
    return student.eval()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"alpha": 0.0},
        {"alpha": 1.0, "temperature": 4.0},
        {"clip": 0.05},
        {"clip": 1e6, "weight_decay": 0.3},
        {"anchor_share": 0.7},
        {"frozen_embeddings": True},
    ],
    ids=str,
)
def test_one_update_equals_the_reference(change: dict[str, float]) -> None:
    config = replace(CONFIG, **change)
    distiller = Distiller(new_student().double(), new_texts(), config)
    student, start = twin(distiller), weights_of(distiller)
    loss = distiller.step(ROWS, WEIGHTS, ANCHORS[:4], updates=1)
    assert loss == pytest.approx(by_hand(student, distiller.texts, config, [(ROWS, WEIGHTS, ANCHORS[:4])]), rel=1e-5)
    assert_close(weights_of(distiller), student.state_dict())
    largest = max(float((start[name] - value).abs().max()) for name, value in weights_of(distiller).items())
    assert largest == pytest.approx(config.learning_rate * (1 + config.weight_decay), rel=0.01)  # AdamW's first step


@pytest.mark.parametrize("updates", [1, 2, 3, 4, 6])
def test_updates_share_candidates_and_anchors_by_length(exact: Distiller, updates: int) -> None:
    student = twin(exact)
    length = exact.texts.tokens.length.tolist()
    candidates = sorted(zip(ROWS.tolist(), WEIGHTS.tolist(), strict=True), key=lambda each: length[each[0]])
    anchors = sorted(ANCHORS.tolist(), key=lambda row: length[row])
    n, a = len(ROWS) // updates, len(ANCHORS) // updates
    parts = []
    for k in range(updates):
        rows, weights = zip(*candidates[k * n : (k + 1) * n], strict=True)
        parts.append((torch.tensor(rows), torch.tensor(weights), torch.tensor(anchors[k * a : (k + 1) * a])))
    assert sorted(row for rows, _, _ in parts for row in rows.tolist()) == sorted(ROWS.tolist())
    loss = exact.step(ROWS, WEIGHTS, ANCHORS, updates)
    assert loss == pytest.approx(by_hand(student, exact.texts, CONFIG, parts), rel=1e-5)
    assert_close(weights_of(exact), student.state_dict(), 1e-4)


def test_every_candidate_and_anchor_counts(exact: Distiller) -> None:
    """Another label of any single text that is used gives another student."""

    def after(label: Tensor) -> dict[str, Tensor]:
        other = Distiller(new_student().double(), replace(exact.texts, label=label), CONFIG)
        other.step(ROWS, torch.ones(12), ANCHORS, updates=3)
        return weights_of(other)

    label = exact.texts.label
    same = after(label)
    for row in {*ROWS.tolist(), *ANCHORS.tolist()}:
        changed = label.clone()
        changed[row] = (label[row] + 1) % CLASSES
        assert not equal(after(changed), same), row


def test_dropped_candidates_have_no_influence(plain: Distiller) -> None:
    texts = plain.texts
    dropped = ROWS[WEIGHTS == 0]
    label, teacher, ids = texts.label.clone(), texts.teacher.clone(), texts.tokens.ids.clone()
    label[dropped] = (label[dropped] + 1) % CLASSES
    teacher[dropped] = -5 * teacher[dropped]
    ids[dropped] = torch.where(ids[dropped] > 0, 54 - ids[dropped], 0)
    other = Distiller(new_student(), Taught(replace(texts.tokens, ids=ids), label, teacher), CONFIG)
    for _ in range(2):
        assert plain.step(ROWS, WEIGHTS, ANCHORS, 3) == other.step(ROWS, WEIGHTS, ANCHORS, 3)
    assert equal(weights_of(plain), weights_of(other))


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 7.0, 1e20])
def test_size_of_all_weights_does_not_count(exact: Distiller, scale: float) -> None:
    other = Distiller(new_student().double(), exact.texts, CONFIG)
    losses = [float(exact.step(ROWS, WEIGHTS, ANCHORS, 2)), float(other.step(ROWS, WEIGHTS * scale, ANCHORS, 2))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_close(weights_of(exact), weights_of(other), 1e-5)


def test_ratio_of_weights_counts(exact: Distiller) -> None:
    other = Distiller(new_student().double(), exact.texts, CONFIG)
    exact.step(ROWS, WEIGHTS, ANCHORS, 2)
    other.step(ROWS, WEIGHTS**2, ANCHORS, 2)
    assert not equal(weights_of(exact), weights_of(other))


def test_nothing_chosen_leaves_the_anchors(exact: Distiller) -> None:
    student, other = twin(exact), Distiller(new_student().double(), exact.texts, CONFIG)
    order = exact.texts.tokens.length[ANCHORS].argsort(stable=True)
    parts = [(ROWS, torch.zeros(12), part) for part in ANCHORS[order].chunk(2)]
    exact.step(ROWS, torch.zeros(12), ANCHORS, 2)
    by_hand(student, exact.texts, CONFIG, parts)
    assert_close(weights_of(exact), student.state_dict())
    other.step((ROWS + 1) % N, torch.zeros(12), ANCHORS, 2)
    assert_close(weights_of(exact), weights_of(other))


def test_a_part_without_a_chosen_candidate_learns_from_its_anchors(exact: Distiller) -> None:
    """The shortest half is dropped: the first update has anchors alone, the second both."""
    order = exact.texts.tokens.length[ROWS].argsort(stable=True)
    weights = torch.ones(12)
    weights[order[:6]] = 0
    student = twin(exact)
    sorted_anchors = ANCHORS[exact.texts.tokens.length[ANCHORS].argsort(stable=True)]
    parts = [(ROWS[o], weights[o], a) for o, a in zip(order.chunk(2), sorted_anchors.chunk(2), strict=True)]
    exact.step(ROWS, weights, ANCHORS, 2)
    by_hand(student, exact.texts, CONFIG, parts)
    assert_close(weights_of(exact), student.state_dict(), 1e-5)


def run(distiller: Distiller, steps: int) -> list[float]:
    return [distiller.step((ROWS + k) % N, WEIGHTS.roll(k), ANCHORS.roll(k), 3) for k in range(steps)]


def test_learning_lowers_the_loss(plain: Distiller) -> None:
    losses = [plain.step(ROWS, torch.ones(12), ANCHORS, 3) for _ in range(15)]
    assert losses[-1] < losses[0] / 2


def test_restore_goes_on_bit_for_bit(plain: Distiller) -> None:
    run(plain, 2)
    state = plain.state()
    first = run(plain, 3), weights_of(plain)
    for _ in range(2):  # a state can be used more than once
        plain.restore(state)
        again = run(plain, 3), weights_of(plain)
        assert again[0] == first[0]
        assert equal(again[1], first[1])


def test_state_works_in_another_distiller(plain: Distiller) -> None:
    run(plain, 2)
    other = Distiller(new_student(seed=5), plain.texts, CONFIG)
    other.restore(plain.state())
    assert run(other, 2) == run(plain, 2)
    assert equal(weights_of(other), weights_of(plain))


def test_state_is_a_copy(plain: Distiller) -> None:
    run(plain, 1)
    state, then = plain.state(), weights_of(plain)
    run(plain, 1)
    assert equal(state["student"], then)
    assert not equal(weights_of(plain), then)


def test_reset_forgets_everything(plain: Distiller) -> None:
    start = weights_of(plain)
    first = run(plain, 2)
    plain.reset(head_seed=0)
    assert equal(weights_of(plain), start)
    assert run(plain, 2) == first


def test_head_depends_on_its_seed_alone(plain: Distiller) -> None:
    other = Distiller(new_student(seed=1), plain.texts, CONFIG)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    heads = []
    for seed in (7, 8):
        plain.reset(seed)
        heads.append(weights_of(plain)["classifier.weight"])
        assert equal(
            {name: value for name, value in weights_of(plain).items() if name != "classifier.weight"},
            {name: value for name, value in new_student().state_dict().items() if name != "classifier.weight"},
        )
    other.reset(8)
    assert torch.equal(weights_of(other)["classifier.weight"], heads[1])
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(torch.get_rng_state(), before)
    assert float(torch.stack(heads).std()) == pytest.approx(0.02, rel=0.4)


def test_outputs_keep_the_order_of_the_texts(exact: Distiller) -> None:
    tokens = exact.texts.tokens
    whole = exact.outputs(tokens)
    one_by_one = [exact.outputs(tokens.take(torch.tensor([row]))) for row in range(len(tokens))]
    shuffled = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(1))
    for name in ("logits", "pooled"):
        values = getattr(whole, name)
        assert values.dtype == torch.float32
        torch.testing.assert_close(torch.cat([getattr(each, name) for each in one_by_one]), values)
        torch.testing.assert_close(getattr(exact.outputs(tokens.take(shuffled)), name), values[shuffled])
        torch.testing.assert_close(getattr(exact.outputs(tokens, batch=7), name), values)
        torch.testing.assert_close(getattr(exact.forward(ROWS, ANCHORS, 3), name), values[ROWS])


def test_outputs_are_those_of_the_model(exact: Distiller) -> None:
    ids = exact.texts.tokens.ids.long()
    with torch.no_grad():
        model = twin(exact)
        pooled = model.bert(input_ids=ids, attention_mask=(ids != 0).long()).pooler_output
    out = exact.outputs(exact.texts.tokens)
    torch.testing.assert_close(out.pooled, pooled.float())
    torch.testing.assert_close(out.logits, model.classifier(pooled).detach().float())


def test_looking_teaches_nothing(plain: Distiller) -> None:
    before = plain.state()
    out = plain.forward(ROWS, ANCHORS, 3)
    assert not out.logits.requires_grad
    assert equal(plain.state()["student"], before["student"])
    assert run(plain, 1) == run(Distiller(new_student(), plain.texts, CONFIG), 1)


def test_the_look_at_a_steps_candidates_is_its_first_updates_forward_pass(
    plain: Distiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    forward = Distiller._forward

    def counted(distiller: Distiller, tokens: Tokens) -> Outputs:
        if distiller is plain:
            passes.append(len(tokens))
        return forward(distiller, tokens)

    monkeypatch.setattr(Distiller, "_forward", counted)
    other = Distiller(new_student(), plain.texts, CONFIG)
    for _ in range(3):
        plain.forward(ROWS, ANCHORS, 3)
        assert plain.step(ROWS, WEIGHTS, ANCHORS, 3) == other.step(ROWS, WEIGHTS, ANCHORS, 3)
    assert passes == [8, 8, 8, 8] * 3  # 4 candidates and 4 anchors, the other 8 candidates, two more updates
    assert equal(plain.state()["student"], other.state()["student"])


@pytest.mark.parametrize("change", ["rows", "anchors", "weights of the student", "start"])
def test_a_look_does_not_outlive_what_it_saw(plain: Distiller, change: str) -> None:
    other, state = Distiller(new_student(), plain.texts, CONFIG), plain.state()
    for each in (plain, other):
        run(each, 1)
    rows, anchors = ROWS, ANCHORS
    plain.forward(rows, anchors, 3)
    if change == "rows":
        rows = (ROWS + 1) % N
    elif change == "anchors":
        anchors = ANCHORS.roll(4)
    else:
        for each in (plain, other):
            each.restore(state) if change == "weights of the student" else each.reset(5)
    assert plain.step(rows, WEIGHTS, anchors, 3) == other.step(rows, WEIGHTS, anchors, 3)
    assert equal(plain.state()["student"], other.state()["student"])


def test_diverged_student_is_seen_in_the_loss() -> None:
    distiller = Distiller(new_student(), new_texts(), replace(CONFIG, learning_rate=1e38))
    assert not all(isfinite(loss) for loss in run(distiller, 3))


def classifier_gradient(pooled: Tensor, logits: Tensor, label: Tensor) -> Tensor:
    """By autograd, through a classifier that gives these logits on these vectors."""
    weight = torch.zeros(logits.shape[1], pooled.shape[1], dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(logits.double() + pooled.double() @ weight.T, label)
    return torch.autograd.grad(loss, weight)[0]


@pytest.fixture
def outputs() -> tuple[Outputs, Tensor]:
    draw = torch.Generator().manual_seed(2)
    n, classes, width = 25, 4, 6
    logits, pooled = torch.randn(n, classes, generator=draw) * 2, torch.randn(n, width, generator=draw).tanh()
    return Outputs(logits, pooled), torch.randint(classes, (n,), generator=draw)


def test_last_layer_gradient_is_that_of_autograd(outputs: tuple[Outputs, Tensor]) -> None:
    out, label = outputs
    expected = classifier_gradient(out.pooled, out.logits, label)
    torch.testing.assert_close(last_layer_gradient(out, label).double(), expected, rtol=1e-4, atol=1e-6)


def test_last_layer_gradient_of_a_student(exact: Distiller) -> None:
    """The same as a backward pass through the whole student."""
    student, rows = twin(exact), ROWS
    ids = exact.texts.tokens.ids[rows].long()
    logits = student(input_ids=ids, attention_mask=(ids != 0).long()).logits
    torch.nn.functional.cross_entropy(logits, exact.texts.label[rows]).backward()
    got = last_layer_gradient(exact.forward(rows, ANCHORS, 3), exact.texts.label[rows])
    torch.testing.assert_close(got.double(), student.classifier.weight.grad, rtol=1e-4, atol=1e-6)


def test_agreement_is_the_cosine_of_gradients(outputs: tuple[Outputs, Tensor]) -> None:
    out, label = outputs
    direction = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    each = [classifier_gradient(out.pooled[[i]], out.logits[[i]], label[[i]]) for i in range(len(label))]
    cosine: Callable[[Tensor], Tensor] = lambda g: (g * direction).sum() / (g.norm() * direction.norm())  # noqa: E731
    got = agreement(out, label, direction)
    torch.testing.assert_close(got.double(), torch.stack([cosine(g) for g in each]), rtol=1e-4, atol=1e-6)
    own = agreement(Outputs(out.logits[:1], out.pooled[:1]), label[:1], each[0].float())
    torch.testing.assert_close(own, torch.ones(1))


def test_agreement_of_a_text_without_a_gradient_is_zero() -> None:
    sure = Outputs(torch.tensor([[200.0, 0.0]]), torch.ones(1, 3))
    assert agreement(sure, torch.tensor([0]), torch.ones(2, 3)).tolist() == [0.0]
    assert agreement(sure, torch.tensor([1]), torch.zeros(2, 3)).tolist() == [0.0]


# Losses of layers: the teacher has 4 layers of width 12, the student 2 of width 16 with 2 heads

WIDTH = 12
EXTRA = {"hidden": 0.7, "attention": 3.0, "embedding": 0.4, "patience": 0.3, "relation": 1.5}
MATCHED = replace(CONFIG, **EXTRA, layer_map="last")


def new_features(name: str = "last") -> Features:
    """Random states of a teacher, in half precision; attention sums to one over real tokens."""
    rng = np.random.default_rng(0)
    n = N + SHOTS
    real = np.arange(LENGTH) < new_texts().tokens.length.numpy()[:, None]
    pairs = {loss: layer_map(name, 2, 4) for loss in ("hidden", "attention", "patience")}
    pairs |= {"embedding": ((0, 0),), "relation": ((2, 4),)}

    def array(loss: str) -> np.ndarray[Any, np.dtype[np.float16]]:
        if loss == "attention":
            weights = rng.uniform(0.1, 1, (n, LENGTH, LENGTH)) * real[:, None]
            return (weights / weights.sum(2, keepdims=True)).astype(np.float16)
        return rng.normal(size=(n, WIDTH) if loss == "patience" else (n, LENGTH, WIDTH)).astype(np.float16)

    return Features(pairs, {loss: [array(loss) for _ in pairs[loss]] for loss in pairs})


def extra_by_hand(distiller: Distiller, row: int, weights: Mapping[str, float], attention: str) -> float:
    """The weighted losses of one text without padding, from Hugging Face's own outputs, in numpy and float64."""
    length, heads = int(distiller.texts.tokens.length[row]), 2
    features, student = distiller.matching.features, twin(distiller)
    student.set_attn_implementation("eager")
    with torch.no_grad():
        ids = distiller.texts.tokens.ids[row, :length].long()[None]
        out = student.bert(input_ids=ids, output_hidden_states=True, output_attentions=True)
        value = student.bert.encoder.layer[1].attention.self.value(out.hidden_states[1])[0].numpy()

    def kl(p: Any, q: Any) -> float:
        return float((p * np.log(p / q)).sum(-1).mean())

    def relation(values: Any, head: int) -> Any:
        part = values[:, head * values.shape[1] // heads : (head + 1) * values.shape[1] // heads]
        scores = np.exp(part @ part.T / sqrt(part.shape[1]))
        return scores / scores.sum(1, keepdims=True)

    def one(loss: str, layer: int, goal: Any) -> float:
        if loss == "relation":
            return float(np.mean([kl(relation(goal[:length], h), relation(value, h)) for h in range(heads)]))
        if loss == "attention":
            mine, goal = out.attentions[layer - 1][0].mean(0).numpy(), goal[:length, :length]
            return kl(goal / goal.sum(1, keepdims=True), mine) if attention == "kl" else ((mine - goal) ** 2).mean()
        state = distiller.matching.state_dict()
        weight, bias = (state[f"projections.{loss}-{layer}.{part}"].double().numpy() for part in ("weight", "bias"))
        mine = out.hidden_states[layer][0].numpy() @ weight.T + bias
        if loss == "patience":
            return float(((mine[0] / np.linalg.norm(mine[0]) - goal / np.linalg.norm(goal)) ** 2).sum())
        return float(((mine - goal[:length]) ** 2).mean())

    total = 0.0
    for loss, scale in weights.items():
        sides = zip(features.pairs[loss], features.arrays[loss], strict=True)
        total += scale * float(np.mean([one(loss, layer, a[row].astype(np.float64)) for (layer, _), a in sides]))
    return total


def matched(config: Distillation = MATCHED, seed: int = 0) -> Distiller:
    return Distiller(new_student(seed), new_texts(), config, new_features(config.layer_map))


@pytest.mark.parametrize(
    "change",
    [
        *({name: weight} for name, weight in EXTRA.items()),
        {"attention": 2.0, "attention_loss": "kl"},
        {"hidden": 1.0, "layer_map": "uniform"},
        {"hidden": 1.0, "attention": 1.0, "patience": 1.0, "layer_map": "skip"},
        {**EXTRA, "layer_map": "last", "attention_loss": "kl"},
    ],
    ids=str,
)
def test_losses_of_layers_are_added_text_by_text(change: dict[str, Any]) -> None:
    """One update's loss less that without them is the mean of each text's own, with the same shares."""
    config = replace(CONFIG, **change)
    plain, extra = (
        Distiller(new_student().double(), new_texts(), each, new_features(config.layer_map))
        for each in (CONFIG, config)
    )
    own = torch.tensor([extra_by_hand(extra, row, config.extra, config.attention_loss) for row in ROWS])
    anchors = [extra_by_hand(extra, row, config.extra, config.attention_loss) for row in ANCHORS[:4]]
    expected = 0.8 * float((WEIGHTS * own).sum() / WEIGHTS.sum()) + 0.2 * float(np.mean(anchors))
    difference = extra.step(ROWS, WEIGHTS, ANCHORS[:4], 1) - plain.step(ROWS, WEIGHTS, ANCHORS[:4], 1)
    assert expected > 0.001
    assert difference == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", EXTRA)
def test_every_loss_of_layers_teaches_the_student(name: str) -> None:
    """Its gradient reaches the word embeddings, and steps make it smaller."""
    distiller = matched(replace(CONFIG, **{name: EXTRA[name]}, layer_map="last"))
    student = distiller.student
    tokens = distiller.texts.tokens.take(ROWS)

    def loss() -> Tensor:
        _, own = states(student.base_model, tokens.inputs(), distiller.matching.layers)
        return distiller.matching(own, ROWS, tokens.length).mean()

    first = loss()
    first.backward()
    for table in (student.bert.embeddings.word_embeddings, *distiller.matching.projections.values()):
        assert float(table.weight.grad.abs().sum()) > 0
    distiller.optimizer.zero_grad()
    for _ in range(15):
        distiller.step(ROWS, torch.ones(12), ANCHORS, 3)
    assert float(loss().detach()) < float(first.detach())


def test_without_weights_nothing_changes_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features or none: the same losses and weights, and the whole pass of transformers is never taken."""
    plain, off = Distiller(new_student(), new_texts(), CONFIG), matched(replace(CONFIG, layer_map="last"))
    asked: list[object] = []
    monkeypatch.setattr(off.student.bert, "forward", lambda **arguments: asked.append(arguments))
    assert run(plain, 3) == run(off, 3)
    assert equal(weights_of(plain), weights_of(off))
    assert not asked
    assert list(off.matching.parameters()) == []


def test_looking_needs_no_layers() -> None:
    """What the environment sees between steps costs the same with the losses on."""
    on, off = matched(), Distiller(new_student(), new_texts(), CONFIG)
    assert torch.equal(on.forward(ROWS, ANCHORS, 3).logits, off.outputs(off.texts.tokens.take(ROWS)).logits)


def test_padding_of_features_plays_no_part() -> None:
    distiller, dirty = matched(), matched()
    padding = np.arange(LENGTH) >= new_texts().tokens.length.numpy()[:, None]
    for loss, arrays in dirty.matching.features.arrays.items():
        for array in arrays:
            if loss != "patience":
                array[padding] = np.nan
            if loss == "attention":
                array.swapaxes(1, 2)[padding] = np.nan
    assert run(dirty, 2) == run(distiller, 2)
    assert equal(weights_of(dirty), weights_of(distiller))


def test_dropped_candidates_have_no_influence_through_layers() -> None:
    distiller, other = matched(), matched()
    for arrays in other.matching.features.arrays.values():
        for array in arrays:
            array[ROWS[WEIGHTS == 0].numpy()] = 1
    for _ in range(2):
        assert distiller.step(ROWS, WEIGHTS, ANCHORS, 3) == other.step(ROWS, WEIGHTS, ANCHORS, 3)
    assert equal(weights_of(distiller), weights_of(other))


def test_restore_brings_projections_back_bit_for_bit() -> None:
    distiller, other = matched(), matched(seed=5)
    run(distiller, 2)
    state = distiller.state()
    kept = {name: value.clone() for name, value in distiller.matching.state_dict().items()}
    first = run(distiller, 3), weights_of(distiller)
    assert equal(state["matching"], kept)
    assert not equal(distiller.matching.state_dict(), kept)
    for again in (distiller, other):
        again.restore(state)
        assert equal(again.matching.state_dict(), kept)
        assert run(again, 3) == first[0]
        assert equal(weights_of(again), first[1])


def test_projections_depend_on_the_seed_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    distiller, plain = matched(), Distiller(new_student(), new_texts(), CONFIG)
    drawn = []
    for seed in (7, 8, 7):
        run(distiller, 1)
        distiller.reset(seed)
        plain.reset(seed)
        assert equal(weights_of(distiller), weights_of(plain))  # the classifier is drawn first
        drawn.append({name: value.clone() for name, value in distiller.matching.state_dict().items()})
    assert equal(drawn[0], drawn[2])
    assert not equal(drawn[0], drawn[1])
    assert torch.equal(torch.get_rng_state(), before)
    weight = torch.cat([value.flatten() for name, value in drawn[0].items() if name.endswith("weight")])
    assert float(weight.std()) == pytest.approx(16**-0.5, rel=0.1)
    assert all((value == 0).all() for name, value in drawn[0].items() if name.endswith("bias"))


def test_projections_are_learnt_and_clipped_but_no_part_of_the_student(monkeypatch: pytest.MonkeyPatch) -> None:
    distiller = matched()
    names = {name.rpartition(".")[0] for name in distiller.matching.state_dict()}
    layers = {"hidden": (1, 2), "embedding": (0,), "patience": (1, 2)}
    assert names == {f"projections.{loss}-{layer}" for loss in PROJECTED for layer in layers[loss]}
    learnt = {id(p) for group in distiller.optimizer.param_groups for p in group["params"]}
    assert learnt == {id(p) for part in (distiller.student, distiller.matching) for p in part.parameters()}
    assert distiller.student.state_dict().keys() == new_student().state_dict().keys()
    clipped: list[set[int]] = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters: list[torch.nn.Parameter], norm: float) -> Tensor:
        clipped.append({id(p) for p in parameters})
        return clip(parameters, norm)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    before = distiller.state()["matching"]
    run(distiller, 1)
    assert clipped == [learnt] * 3
    assert all(not torch.equal(value, before[name]) for name, value in distiller.matching.state_dict().items())


def test_losses_of_layers_need_features() -> None:
    with pytest.raises(
        UserError, match=r"^hidden, relation: the teacher's features are needed for every loss with a w"
    ):
        Distiller(new_student(), new_texts(), replace(CONFIG, hidden=1.0, relation=1.0))
