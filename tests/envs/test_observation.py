"""Observations: each column against its formula, computed here a second time from what is on disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from torch.nn import functional as F

from l2a_gym.augment.importance import Pieces, cross_entropy_difference, log_importance
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.features import DOMAIN, FEATURES, OPERATOR, STUDENT, Column, Fixed, Moving
from l2a_gym.envs.observation import candidate_columns, check_features, observation_space
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.envs.world import load_world
from l2a_gym.errors import UserError
from l2a_gym.preparation.store import Prepared

Observation = dict[str, NDArray[np.float32]]
N, T, K = 24, 4, 2  # the budget of the small task
EVERY = list(FEATURES)


def actions(n: int, size: int = N, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (n, size)).astype(np.float32)


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    odds = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return -(p * np.log(p)).sum(1) / np.log(p.shape[1])


@pytest.fixture
def moment(in_float32: None, small: dict[str, Any]) -> tuple[DistillAugEnv, Observation]:
    """Step twice in an environment with every feature after two steps, and what it shows."""
    env = DistillAugEnv(**small, features=EVERY)
    env.reset(seed=0)
    for action in actions(2):
        observation, *_ = env.step(action)
    return env, observation


def column(env: DistillAugEnv, observation: Observation, name: str) -> NDArray[np.float32]:
    return observation["candidates"][:, env.columns.index(name)]


# The table


def documented(part: str) -> dict[str, tuple[float, float, str]]:
    """Name -> low, high and formula, as the page's table of ``candidates``, ``student``, ... has them."""
    page = (Path(__file__).parents[2] / "docs" / "environment.md").read_text(encoding="utf-8")
    section = page.split(f"\n### `{part}`,")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (-?\d) \.\. (\d) \| (.+) \|$", section, flags=re.MULTILINE)
    return {name: (float(low), float(high), formula.replace("\\|", "|")) for name, low, high, formula in rows}


def test_the_pages_tables_are_those_of_the_code() -> None:
    tables: dict[str, Mapping[str, Column[Any]]]
    tables = {"candidates": FEATURES, "student": STUDENT, "domains": DOMAIN, "operators": OPERATOR}
    for part, table in tables.items():
        rows = {name: (each.low, each.high, each.formula) for name, each in table.items()}
        assert list(documented(part).items()) == list(rows.items())


def test_the_oracle_and_what_takes_long_are_off_unless_asked_for() -> None:
    hidden = {"clean", "importance", "cross_entropy_difference", "label_share", "cross_fitted_label", "plausible"}
    assert check_features(None, 2) == tuple(name for name in FEATURES if name not in hidden)


def test_columns_follow_the_table_whatever_the_order_asked_for() -> None:
    assert check_features(["kl", "domain", "length", "kl"], 2) == ("domain", "length", "kl")


@pytest.mark.parametrize("classes", [0, 2, 77])
def test_a_star_stands_for_the_usual_features(classes: int) -> None:
    usual = check_features(None, classes)
    assert check_features(["*"], classes) == usual
    assert check_features(["*", "clean", "kl"], classes) == (*usual, "clean")


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(UserError, match="unknown feature 'simlarity': did you mean 'similarity'"):
        check_features(["length", "simlarity"], 2)


@pytest.mark.parametrize("classes", [0, 11, 77])
def test_labels_have_columns_where_their_classes_are_known_and_few(classes: int) -> None:
    assert "label" in check_features(None, 10)
    assert set(check_features(None, 2)) - set(check_features(None, classes)) == {"label"}
    found = f"{classes} classes" if classes else r"a task file without labels = \[\.\.\.\]"
    with pytest.raises(UserError, match=f"^the feature 'label' needs the names of 2 to 10 classes, found {found}$"):
        check_features(["kl", "label"], classes)


def test_one_column_for_each_value_of_a_one_hot_feature() -> None:
    values = {"domain": ["a", "b"], "operator": ["source"], "label": ["no", "yes"]}
    assert candidate_columns(["domain", "operator", "kl"], values) == ("domain=a", "domain=b", "operator=source", "kl")
    assert candidate_columns(["label", "length"], values) == ("label=no", "label=yes", "length")


def test_bounds_of_the_space_are_those_of_the_table() -> None:
    space = observation_space(3, ["domain=a", "similarity"], 2, 4)
    assert space["candidates"].low.tolist() == [[0, -1]] * 3  # type: ignore[attr-defined]
    assert space["candidates"].high.tolist() == [[1, 1]] * 3  # type: ignore[attr-defined]
    assert space["student"].low.tolist() == [each.low for each in STUDENT.values()]  # type: ignore[attr-defined]
    assert space["domains"].high.tolist() == [[each.high for each in DOMAIN.values()]] * 2  # type: ignore[attr-defined]
    assert space["operators"].high.tolist() == [[each.high for each in OPERATOR.values()]] * 4  # type: ignore[attr-defined]


# Ranges and switches


@pytest.mark.parametrize(("mode", "size"), [("weights", N), ("mixture", 15)])
def test_ranges_hold_over_episodes(small: dict[str, Any], mode: str, size: int) -> None:
    env = DistillAugEnv(**small, features=EVERY, action=mode)
    seen = []
    for seed in range(4):
        seen.append(env.reset(seed=seed)[0])
        seen += [env.step(action)[0] for action in actions(T, size, seed)]
    assert all(env.observation_space.contains(observation) for observation in seen)
    varied = np.concatenate([observation["candidates"] for observation in seen]).std(0) > 0
    assert [name for name, moves in zip(env.columns, varied, strict=True) if not moves] == []


def test_label_share_is_how_frequent_a_label_is_in_train_and_dev(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, features=["label", "label_share"])
    seen = env.reset(seed=0)[0]["candidates"]
    prepared = env.world.prepared
    known = [*prepared.labels(prepared.rows["train"]).tolist(), *prepared.labels(prepared.rows["dev"]).tolist()]
    positive = sum(known) / len(known)
    assert positive != 0.5
    np.testing.assert_allclose(seen[:, 2], np.where(seen[:, 1] == 1, positive, 1 - positive), rtol=1e-6)


def test_switched_features_are_the_columns_of_the_whole(small: dict[str, Any]) -> None:
    whole = DistillAugEnv(**small, features=EVERY)
    some = DistillAugEnv(**small, features=["agreement", "domain", "length"])
    assert some.columns == ("domain=films", "domain=books", "domain=songs", "length", "agreement")
    for env in (whole, some):
        env.reset(seed=0)
    one, two = (env.step(actions(1)[0])[0] for env in (whole, some))
    index = [whole.columns.index(name) for name in some.columns]
    assert np.array_equal(one["candidates"][:, index], two["candidates"])
    assert np.array_equal(one["student"], two["student"])
    assert np.array_equal(one["domains"], two["domains"])


@pytest.mark.parametrize("kind", ["fixed", "moving"])
def test_a_new_feature_is_one_entry(small: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real environment shows it; the toy, whose problem knows nothing of it, shows zeros."""
    feature = (
        Fixed("half_length", "length / 2", lambda pool: FEATURES["length"].value(pool) / 2)
        if kind == "fixed"
        else Moving("half_length", "length / 2, as if it moved", lambda shown: shown.student.sum(2) / 4)
    )
    monkeypatch.setitem(FEATURES, feature.name, feature)
    env, toy = DistillAugEnv(**small, features=["length", feature.name]), ToyEnv(features=[feature.name])
    seen = env.reset(seed=0)[0]["candidates"]
    assert env.columns == ("length", "half_length")
    np.testing.assert_allclose(seen[:, 1], seen[:, 0] / 2 if kind == "fixed" else 0.25, atol=1e-6)
    assert not toy.reset(seed=0)[0]["candidates"].any()


# Columns of the candidates


def test_columns_that_stand_in_the_pool(moment: tuple[DistillAugEnv, Observation]) -> None:
    env, observation = moment
    prepared, rows = env.world.prepared, env.save_state().episode.rows
    pool = {name: np.array(prepared.pool()[name])[rows] for name in prepared.pool().column_names if name != "text"}
    for kind, names in (("domain", env.domains), ("operator", env.operators), ("label", ("negative", "positive"))):
        for position, name in enumerate(names):
            assert np.array_equal(column(env, observation, f"{kind}={name}"), pool[kind] == position)
    np.testing.assert_allclose(column(env, observation, "edit_share"), pool["edit_share"], atol=1e-6)
    assert np.array_equal(column(env, observation, "clean"), ~pool["flipped"])
    tokens = (prepared.array("tokens/ids")[rows] != prepared.tokens(slice(1)).pad).sum(1)
    np.testing.assert_allclose(column(env, observation, "length"), tokens / 16, atol=1e-6)


def test_columns_of_the_teachers(in_float32: None, small: dict[str, Any]) -> None:
    for teacher in ("few-shot", "all-data"):
        env = DistillAugEnv(**small, teacher=teacher)
        observation, _ = env.reset(seed=0)
        prepared, rows = env.world.prepared, env.save_state().episode.rows
        label = np.array(prepared.pool()["label"])[rows]
        few, every = (softmax(prepared.array(f"answers/{name}")[rows]) for name in ("few-shot", "all-data"))
        teaches = few if teacher == "few-shot" else every
        expected = {
            "few_shot_label": few[np.arange(N), label],
            "all_data_label": every[np.arange(N), label],
            "teacher_confidence": teaches.max(1),
            "teacher_entropy": entropy(teaches),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(column(env, observation, name), values, atol=1e-5, err_msg=name)


def test_columns_of_the_sentence_vectors(moment: tuple[DistillAugEnv, Observation]) -> None:
    env, observation = moment
    prepared, rows = env.world.prepared, env.save_state().episode.rows
    vectors = prepared.array("answers/vectors").astype(np.float64)
    pool, target = vectors[prepared.rows["pool"]], vectors[prepared.rows["train"].start : prepared.rows["dev"].stop]
    centred, goal = pool - pool.mean(0), target.mean(0) - pool.mean(0)
    cosine = centred @ goal / (np.linalg.norm(centred, axis=1) * np.linalg.norm(goal))
    np.testing.assert_allclose(column(env, observation, "similarity"), cosine[rows], atol=1e-3)
    sources = pool[np.array(prepared.pool()["domain"]) > 0]
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    classifier.fit(np.concatenate([target, sources]), [1] * len(target) + [0] * len(sources))
    odds = classifier.decision_function(pool[rows])
    np.testing.assert_allclose(column(env, observation, "domain_log_odds"), np.tanh(odds / 4), atol=1e-2)


AGAINST_SHOTS = ["importance", "cross_entropy_difference"]


def test_columns_of_counts_compare_the_pool_with_the_shots(moment: tuple[DistillAugEnv, Observation]) -> None:
    env, observation = moment
    prepared, rows = env.world.prepared, env.save_state().episode.rows
    ids, length = (prepared.array(f"tokens/{name}") for name in ("ids", "length"))
    pool, shots = (Pieces(ids[part], length[part]) for part in (prepared.rows["pool"], prepared.rows["train"]))
    assert len(shots.ids) == 16
    for name, measure in zip(AGAINST_SHOTS, (log_importance, cross_entropy_difference), strict=True):
        x = measure(pool, shots)[rows]
        np.testing.assert_allclose(column(env, observation, name), x / (1 + np.abs(x)), atol=1e-6)


def test_columns_of_counts_look_at_no_text_of_dev_select_or_test(small: dict[str, Any], tmp_path: Path) -> None:
    env = DistillAugEnv(**small, features=AGAINST_SHOTS)
    env.reset(seed=0)
    prepared = env.world.prepared
    hidden = slice(prepared.rows["dev"].start, prepared.rows["test"].stop)
    sizes = {"domain": 3, "operator": 5}

    def columns_with(part: slice, name: str) -> NDArray[np.float32]:
        """With the texts of a part in the reverse order of their pieces, and cut by one."""
        shutil.copytree(prepared.folder, tmp_path / name)
        ids, length = (np.array(prepared.array(f"tokens/{array}")) for array in ("ids", "length"))
        ids[part], length[part] = ids[part, ::-1], length[part] - 1
        for array, values in (("ids", ids), ("length", length)):
            np.save(tmp_path / name / "tokens" / f"{array}.npy", values)
        world = load_world(Prepared(tmp_path / name), "few-shot", AGAINST_SHOTS, sizes, torch.device("cpu"))
        return world.static.numpy()

    assert np.array_equal(columns_with(hidden, "hidden"), env.world.static.numpy())
    changed = columns_with(prepared.rows["train"], "shots") != env.world.static.numpy()
    assert changed.any(0).all()


def test_columns_of_the_student(moment: tuple[DistillAugEnv, Observation]) -> None:
    env, observation = moment
    rows = torch.from_numpy(env.save_state().episode.rows)
    prepared, texts = env.world.prepared, env.world.texts
    with torch.no_grad():
        logits = env.student(**texts.tokens.take(rows).inputs()).logits.numpy()
    p, q = softmax(logits), softmax(prepared.array("answers/few-shot")[rows.numpy()])
    loss = -np.log(p[np.arange(N), texts.label[rows].numpy()])
    kl = (q * (np.log(q) - np.log(p))).sum(1)
    expected = {
        "student_loss": loss / (1 + loss),
        "student_entropy": entropy(p),
        "student_confidence": p.max(1),
        "kl": kl / (1 + kl),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(column(env, observation, name), values, atol=1e-4, err_msg=name)


def test_agreement_is_the_cosine_of_autograd_gradients(moment: tuple[DistillAugEnv, Observation]) -> None:
    env, observation = moment
    student, texts, dev = env.student, env.world.texts, env.world.dev

    def gradient(inputs: dict[str, torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(student(**inputs).logits, label)
        return torch.autograd.grad(loss, student.classifier.weight)[0].flatten()

    goal = gradient(dev.tokens.inputs(), dev.label)
    rows = torch.from_numpy(env.save_state().episode.rows)
    each = [gradient(texts.tokens.take(row[None]).inputs(), texts.label[row[None]]) for row in rows]
    cosine = F.cosine_similarity(torch.stack(each), goal[None])
    np.testing.assert_allclose(column(env, observation, "agreement"), cosine.numpy(), atol=1e-3)
    assert cosine.min() < 0 < cosine.max()


# Columns of the student and of the domains


def test_student_columns(in_float32: None, small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    nlls = []
    for t in range(T + 1):
        observation, info = env.reset(seed=0) if t == 0 else env.step(actions(T)[t - 1])[::4]
        with torch.no_grad():
            logits = env.student(**env.world.dev.tokens.inputs()).logits
        label, guess = env.world.dev.label, logits.argmax(1)
        nlls.append(float(F.cross_entropy(logits, label)))
        left = (T - t) * K / 100
        expected = {
            "dev_nll": nlls[-1] / (1 + nlls[-1]),
            "dev_accuracy": accuracy_score(label, guess),
            "dev_macro_f1": f1_score(label, guess, average="macro"),
            "trend": nlls[-2] - nlls[-1] if t else 0,
            "train_loss": info["train_loss"] / (1 + info["train_loss"]),
            "progress": t / T,
            "updates_left": left / (1 + left),
        }
        assert list(expected) == list(STUDENT)
        np.testing.assert_allclose(observation["student"], list(expected.values()), atol=1e-4)
        assert (info["train_loss"] > 0) is (t > 0)


def test_domain_columns(in_float32: None, small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    observation, _ = env.reset(seed=0)
    prepared = env.world.prepared
    domain = np.array(prepared.pool()["domain"])
    vectors = prepared.array("answers/vectors").astype(np.float64)
    target = vectors[prepared.rows["train"].start : prepared.rows["dev"].stop].mean(0)
    centroids = [target, *(vectors[prepared.rows["pool"]][domain == d].mean(0) for d in (1, 2))]
    distance = [1 - c @ target / (np.linalg.norm(c) * np.linalg.norm(target)) for c in centroids]
    weight = np.zeros(3)
    for action in actions(2):
        np.add.at(weight, domain[env.save_state().episode.rows], np.maximum(action, 0))
        observation, *_ = env.step(action)
    shown = domain[env.save_state().episode.rows]
    loss = column(env, observation, "student_loss")
    expected = {
        "is_target": [1, 0, 0],
        "size": np.bincount(domain) / len(domain),
        "distance": distance,
        "selected": weight / weight.sum(),
        "student_loss": [loss[shown == d].mean() if (shown == d).any() else 0 for d in range(3)],
    }
    assert list(expected) == list(DOMAIN)
    np.testing.assert_allclose(observation["domains"], np.stack(list(expected.values()), axis=1), atol=1e-4)


def test_operator_columns(in_float32: None, small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    prepared = env.world.prepared
    operator = np.array(prepared.pool()["operator"])
    weight = np.zeros(5)
    for action in actions(2):
        np.add.at(weight, operator[env.save_state().episode.rows], np.maximum(action, 0))
        observation, *_ = env.step(action)
    rows = env.save_state().episode.rows
    shown, loss = operator[rows], column(env, observation, "student_loss")
    pool = prepared.rows["pool"]
    label = prepared.labels(pool).numpy()[rows]
    given = prepared.logits("few-shot", pool).softmax(1).numpy()[rows, label]

    def means(values: NDArray[np.floating[Any]]) -> list[float]:
        return [float(values[shown == o].mean()) if (shown == o).any() else 0.0 for o in range(5)]

    expected = {
        "is_source": [1, 0, 0, 0, 0],
        "made": np.bincount(operator) / len(operator),
        "chosen": weight / weight.sum(),
        "mean_loss": means(loss),
        "label_kept": means(given),
    }
    assert list(expected) == list(OPERATOR)
    np.testing.assert_allclose(observation["operators"], np.stack(list(expected.values()), axis=1), atol=1e-4)


def test_candidates_that_the_label_policy_drops_are_not_shown(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small, pool={"labels": "agree"})
    env.reset(seed=0)
    usable = prepared_usable(env)
    assert 0 < (~usable).sum() < len(usable)
    for seed in range(10):
        env.reset(seed=seed)
        assert usable[env.save_state().episode.rows].all()
    assert sorted(np.concatenate(env.world.groups)) == np.flatnonzero(usable).tolist()
    assert float(env.world.made.sum()) == pytest.approx(1)


def prepared_usable(env: DistillAugEnv) -> NDArray[np.bool_]:
    return np.array(env.world.prepared.array("signals/usable"))


def test_a_domain_without_candidates_now_shown_has_no_loss(small: dict[str, Any]) -> None:
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    state = env.save_state()
    state.episode.rows = env.world.groups[env.world.group[-1]][:N]  # all of the last group, the target's
    assert len(state.episode.rows) == N
    env.restore_state(state)
    losses = env.batch.observe()["domains"][0, :, list(DOMAIN).index("student_loss")]
    assert losses[0] > 0
    assert losses[1:].tolist() == [0, 0]


def test_rounding_does_not_leave_the_ranges(in_float32: None, small: dict[str, Any]) -> None:
    """A student that is its teacher has KL = 0, which floats put a little below."""
    env = DistillAugEnv(**small)
    env.reset(seed=0)
    texts, rows = env.world.texts, torch.arange(env.world.candidates)
    assert texts.teacher is not None
    texts.teacher[rows] = env.predict(texts.tokens.take(rows)) * (1 + 1e-7)
    observation = {name: each[0].numpy() for name, each in env.batch.observe().items()}
    assert env.observation_space.contains(observation)
    assert column(env, observation, "kl").max() < 1e-6
