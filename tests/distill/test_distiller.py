"""The inner step, against a reference in plain PyTorch.

Students here are in float64 where numbers are compared: autocast leaves float64 alone, so the arithmetic is the same on
every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite

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
        assert values.dtype == torch.float64  # the student's
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
    torch.testing.assert_close(out.pooled, pooled)
    torch.testing.assert_close(out.logits, model.classifier(pooled).detach())


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
