"""An exported student of pairs, many of them longer than it was taught to read: its card is what its users see."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer, TextClassificationPipeline, pipeline

from l2a_gym.distill.export import export
from l2a_gym.distill.towers import PairAlbert, PairBert, load_student
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.final import export_student, final_student
from l2a_gym.experiment.settings import Run
from l2a_gym.preparation.ask import ask
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task

WORDS = ["film", "book", "song", "phone", "meal", "game", "story", "town", "good", "bad", "great", "poor", "warm"]


def pairs(rng: np.random.Generator, n: int) -> list[dict[str, str]]:
    """Sentences of 2 to 12 words, and the same with another last word, or others."""
    rows = []
    for number in range(n):
        first = [str(word) for word in rng.choice(WORDS, rng.integers(2, 13))]
        same = bool(number % 2)
        second = [*first[:-1], "fine"] if same else [str(word) for word in rng.choice(WORDS, len(first))]
        text = f"{number} {' '.join(first)}"
        rows.append({"text": text, "other": " ".join(second), "label": "same" if same else "different"})
    return rows


@pytest.fixture(scope="module")
def run(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for name in ("here", "there"):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs(rng, 150)))
    (folder / "task.toml").write_text(
        'target = "here"\nshots = 16\nmax_length = 16\n[domains]\nhere = "here.jsonl"\nthere = "there.jsonl"\n'
        '[columns]\npair = "other"\n[budget]\nsteps = 2\ncandidates = 16\nupdates = 2\n'
    )
    settings = {**small, "task": str(folder / "task.toml"), "pool": "sources", "general_updates": 0}
    return Run(algo="uniform", **settings, export_steps=2, onnx=True, out=folder / "run")


@pytest.fixture(scope="module")
def adapter(run: Run) -> DistillAdapter:
    return DistillAdapter(run.task, run.environment)


@pytest.fixture(scope="module")
def scores(run: Run, adapter: DistillAdapter) -> dict[str, Any]:
    return export_student(run, adapter, adapter.selector("uniform"), run.folder / "student")


@pytest.fixture(scope="module")
def classify(run: Run, scores: dict[str, Any]) -> TextClassificationPipeline:
    """As the card says."""
    folder = str(run.folder / "student")
    assert "load_student(folder), tokenizer=folder)" in (run.folder / "student" / "README.md").read_text()
    return pipeline("text-classification", load_student(folder), tokenizer=folder, device="cpu")


@pytest.fixture(scope="module")
def prepared(adapter: DistillAdapter) -> Prepared:
    return adapter.prepared


def test_the_card_is_what_a_pipeline_gives(
    run: Run, scores: dict[str, Any], prepared: Prepared, classify: TextClassificationPipeline
) -> None:
    test, folder = make_task(run.task).test, run.folder / "student"
    full = prepared.tokens(prepared.rows["test"]).length == 16
    assert 0.2 < full.double().mean() < 0.9  # some are cut, some are not
    assert test.pair is not None
    found = [classify({"text": a, "text_pair": b})["label"] for a, b in zip(test.text, test.pair, strict=True)]
    accuracy = np.mean([label == ("different", "same")[code] for label, code in zip(found, test.label, strict=True)])
    assert accuracy == scores["test_accuracy"]
    assert f"| test accuracy | {accuracy:.4f} |" in (folder / "README.md").read_text()


def test_pairs_are_read_as_they_were_taught(run: Run, scores: dict[str, Any], prepared: Prepared) -> None:
    """The same ids, and the segments that tell the two texts apart."""
    test, tokens = make_task(run.task).test, prepared.tokens(prepared.rows["test"])
    folder = run.folder / "student"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert test.pair is not None
    for row in torch.argwhere(tokens.length < 16).flatten().tolist():
        taught = tokens.take(torch.tensor([row])).inputs()
        inputs = tokenizer(test.text[row], test.pair[row], return_tensors="pt")
        assert inputs.keys() == taught.keys()
        assert all(torch.equal(inputs[name], taught[name]) for name in taught)


def test_the_folder_says_what_the_environments_student_says(
    run: Run, adapter: DistillAdapter, prepared: Prepared, tmp_path: Path
) -> None:
    """On all pairs of test, the long ones too."""
    env, _ = final_student(run, adapter, adapter.selector("uniform"))
    assert isinstance(env.student, PairBert)
    export(env.student, prepared.tokenizer(), tmp_path / "student", lambda _: None, pairs=True)
    tokens, model = prepared.tokens(prepared.rows["test"]), load_student(tmp_path / "student")
    with torch.no_grad():
        logits = model(**tokens.inputs()).logits
    torch.testing.assert_close(logits, env.predict(tokens), rtol=0, atol=0.02)  # bf16 where it is fast
    assert torch.equal(logits.argmax(1), env.predict(tokens).argmax(1))


def test_the_classifier_begins_at_a_regression_of_all_labelled_pairs(run: Run, adapter: DistillAdapter) -> None:
    still = {"learning_rate": 0.0}
    env, _ = final_student(run, adapter, adapter.selector("uniform"), distillation=still, anchors="all")
    known = env.world.texts.take(torch.tensor(env.world.anchors("all")))
    vectors = env.batch.students.outputs(known.tokens).pooled[0].double().numpy()
    fitted = LogisticRegression(max_iter=1000).fit(vectors, known.label.numpy())
    log_odds = np.diff(env.predict(known.tokens).double().numpy())[:, 0]
    np.testing.assert_allclose(log_odds, fitted.decision_function(vectors), atol=2e-3)


def test_a_pruned_student_is_two_towers_as_well(run: Run) -> None:
    env = DistillAugEnv(run.task, **{**run.environment, "student": "pruned", "general_updates": 3})
    env.reset(seed=0)
    start = deepcopy(env.student.state_dict())
    _, reward, *_ = env.step(np.ones(env.candidates, dtype=np.float32))
    assert isinstance(env.student, PairAlbert)
    assert np.isfinite(reward)
    assert all(
        not torch.equal(start[name], value) for name, value in env.student.state_dict().items() if "query" in name
    )


def test_teachers_that_are_asked_anew_answer_pairs_as_they_did(adapter: DistillAdapter, prepared: Prepared) -> None:
    for name in ("few-shot", "mean"):
        answer = ask(prepared, name, adapter.task.test, adapter.task.max_length, torch.device("cpu"))
        torch.testing.assert_close(answer, prepared.logits(name, prepared.rows["test"]), atol=2e-3, rtol=1e-3)


def test_phrases_of_pairs_have_two_sides(run: Run) -> None:
    env = DistillAugEnv(run.task, **run.environment, phrases=2)
    env.reset(seed=0)
    cut = env.world.phrases_of(env.world.anchors("all"))
    tokens = env.world.texts.tokens.take(torch.tensor(cut))
    assert len(cut) == 2 * len(env.world.anchors("all"))
    assert (tokens.first < tokens.length).all()
    assert (tokens.first > 2).all()  # [CLS], a piece at least, [SEP]
    assert np.isfinite(env.step(np.ones(env.candidates, dtype=np.float32))[1])


def test_endless_pairs(classify: TextClassificationPipeline) -> None:
    asked = [{"text": "film " * 3000, "text_pair": "z!" * 3000}, {"text": "film", "text_pair": "[SEP] " * 3000}]
    assert classify(asked) == classify(asked, truncation=True)


def test_the_cards_onnx_lines_read_pairs(
    run: Run, scores: dict[str, Any], classify: TextClassificationPipeline, card_says: Callable[..., list[str]]
) -> None:
    test, folder = make_task(run.task).test, run.folder / "student"
    assert test.pair is not None
    asked = [*zip(test.text, test.pair, strict=True), ("film " * 300, "z!" * 300)]
    expected = [classify({"text": a, "text_pair": b}) for a, b in asked]
    said = card_says(folder, asked)
    clear = [(one, other["label"]) for one, other in zip(said, expected, strict=True) if other["score"] > 0.51]
    assert len(clear) > 0.9 * len(asked)
    assert all(one == other for one, other in clear)
    same = {name: each["same_labels"] for name, each in scores["formats"].items()}
    assert same["onnx/model.onnx"] >= 0.995
    assert same["onnx/model_int8.onnx"] >= 0.95  # of 42 pairs, one or two may stand at a tie
