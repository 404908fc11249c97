"""The exported student: which policy and teacher it has, and that its folder predicts as it did."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from l2a_agents.selector import Action, Fixed, Log, MakeEnv, Observation, Spaces
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, pipeline

from l2a_gym.distill.calibration import temperature
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.final import FINAL, PHRASES, best_student, final_student, head_of, phrases_for, steps_for
from l2a_gym.experiment.progress import train_selector
from l2a_gym.experiment.run import load_selector
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.teachers import chosen_teacher
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import NO_TEXTS, Texts


@pytest.fixture
def run(whole_run: Run) -> Run:
    return whole_run


@pytest.fixture
def summary(whole_summary: dict[str, Any]) -> dict[str, Any]:
    return whole_summary


@pytest.mark.parametrize(("classes", "steps"), [(2, 100), (4, 150), (15, 245), (77, 363)])
def test_more_classes_are_taught_for_longer(classes: int, steps: int) -> None:
    assert steps_for(classes) == steps


@pytest.mark.parametrize(
    ("classes", "pair", "head"), [(2, None, "drawn"), (3, None, "fitted"), (2, ("b",) * 3, "fitted")]
)
def test_pairs_and_many_classes_begin_at_a_regression_and_pairs_have_no_phrases(
    run: Run, classes: int, pair: tuple[str, ...] | None, head: str
) -> None:
    task = make_task(run.task)
    texts = Texts(("a",) * 3, np.arange(3) % classes, pair)
    changed = replace(task, labels=tuple("xyz"[:classes]), test=texts)
    assert (head_of(changed), phrases_for(changed)) == (head, 0 if pair else PHRASES)


def test_a_student_of_another_kind_is_calibrated_on_its_own_pieces(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Kinds may have vocabularies of their own; on so small a task, the adapter's is made to differ."""
    run = Run(algo="uniform", **tiny, export_student="pruned", export_steps=2)
    adapter = DistillAdapter(run.task, run.environment)
    other = Prepared(shutil.copytree(adapter.prepared.folder, tmp_path / "other"))
    ids = np.array(other.array("tokens/ids"))
    (other.folder / "tokens" / "ids.npy").unlink()
    np.save(other.folder / "tokens" / "ids.npy", np.where(ids > 4, 9999, ids).astype(ids.dtype))
    adapter.prepared = other  # a cached property
    env, scores = final_student(run, adapter, adapter.selector("uniform"))
    dev = env.world.dev
    assert scores["temperature"] == temperature(env.predict(dev.tokens).float(), dev.label)


@pytest.mark.parametrize(("labelled", "phrases"), [(832, 12), (1365, 12), (1366, 11), (8193, 1), (50_000, 1)])
def test_many_texts_have_fewer_phrases_each(run: Run, labelled: int, phrases: int) -> None:
    texts, none = Texts(tuple(map(str, range(labelled))), np.zeros(labelled, dtype=np.int64)), NO_TEXTS
    assert phrases_for(replace(make_task(run.task), train=texts, dev=none, select=none)) == phrases


def test_the_student_folder_predicts_as_the_final_student(
    run: Run, summary: dict[str, Any], adapter: DistillAdapter, prepared: Prepared
) -> None:
    _, held_out = best_student(run, adapter, load_selector(run, adapter))
    policy = adapter.selector("uniform") if held_out["policy"] == "uniform" else load_selector(run, adapter)
    env, scores = final_student(run, adapter, policy, anchors="all")
    own = ("parameters", "test_accuracy", "texts_per_second", "calibration_error")  # of the folder
    of_the_other = {name: held_out[name] for name in ("policy", "dev_accuracy", "temperature", "long")}
    assert scores | of_the_other | {name: summary["exported"][name] for name in own} == summary["exported"]
    texts = make_task(run.task).test
    assert scores["teacher"] == chosen_teacher(prepared)
    assert scores["updates"] == 2 * run.export_steps
    taught = prepared.logits(scores["teacher"], slice(0, prepared.rows["select"].stop))
    torch.testing.assert_close(env.batch.students.distillers[0].texts.teacher[: len(taught)], taught)
    assert env.world.phrases == PHRASES
    logits = env.predict(prepared.tokens(prepared.rows["test"])).float()
    expected = (logits / held_out["temperature"]).softmax(1)
    classify = pipeline("text-classification", str(run.folder / "student"), top_k=None, device="cpu")
    answers = classify(list(texts.text))
    labels = prepared.manifest()["labels"]
    found = torch.tensor(
        [[{row["label"]: row["score"] for row in each}[label] for label in labels] for each in answers]
    )
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # bfloat16 in training
    accuracy = (found.argmax(1).numpy() == texts.label).mean()
    assert accuracy == summary["exported"]["test_accuracy"]


def test_the_policy_that_is_better_on_select_chooses_for_the_exported_student(
    run: Run, adapter: DistillAdapter, prepared: Prepared
) -> None:
    select = prepared.labelled(prepared.rows["select"])

    def loss(policy: str) -> float:
        env, _ = final_student(run, adapter, adapter.selector(policy))
        return float(cross_entropy(env.predict(select.tokens), select.label))

    uniform = loss("uniform")
    for name in ("none", "similarity", "oracle"):
        _, scores = best_student(replace(run, algo=name), adapter, adapter.selector(name))
        assert scores["policy"] == (name if loss(name) < uniform else "uniform")
        assert [*scores["long"]] == [name, "uniform"]
        own = scores["long"][scores["policy"]]
        assert own == {each: scores[each] for each in own}


def test_no_student_is_exported_that_diverged(
    run: Run, adapter: DistillAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FINAL, "learning_rate", 1e30)
    with pytest.raises(UserError, match=r"^the student's loss is not finite after \d+ updates: no student to export$"):
        final_student(run, adapter, adapter.selector("uniform"))


def test_the_students_tokenizer_gives_the_ids_it_was_taught_with(
    run: Run, summary: dict[str, Any], prepared: Prepared
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "student")
    tokens = prepared.tokens(prepared.rows["test"])
    encoded = tokenizer(list(make_task(run.task).test.text), truncation=True, max_length=tokens.ids.shape[1])
    for ids, row, length in zip(encoded["input_ids"], tokens.ids.tolist(), tokens.length.tolist(), strict=True):
        assert ids == row[:length]
    assert len(tokenizer) == prepared.student().config.vocab_size == len(prepared.array("tokens/kept"))


def test_the_student_folder_has_weights_and_a_card_and_no_pickle(run: Run, summary: dict[str, Any]) -> None:
    names = {path.name for path in (run.folder / "student").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    card = (run.folder / "student" / "README.md").read_text()
    assert f"| test accuracy | {summary['exported']['test_accuracy']:.4f} |" in card
    assert f"{summary['exported']['parameters']:,} parameters" in card


class Asking(Fixed):
    """A selector with options of its own, which keeps the columns of its training and the shapes that it saw."""

    env_options: ClassVar[dict[str, Any]] = {"features": ["kl", "clean"], "steps": 2, "dev_every": 2}

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        env: Any = make_env.vector(2).unwrapped
        self.trained_on = [make_env().get_wrapper_attr("columns"), env.columns]
        self.seen: set[tuple[int, ...]] = set()

    def act(self, observation: Observation, deterministic: bool = True) -> Action:
        self.seen.add(observation["candidates"].shape)
        return np.ones(self.spaces.candidates, dtype=np.float32)


def test_a_selectors_own_options_hold_in_training_and_give_way_in_the_final_students(
    run: Run, adapter: DistillAdapter, tmp_path: Path
) -> None:
    run = replace(run, export_steps=3, out=tmp_path)
    selector = Asking(Spaces.from_env(adapter.env(**Asking.env_options)))
    train_selector(run, adapter, selector)
    assert selector.spaces.columns == ("kl", "clean")
    assert selector.trained_on == [("kl", "clean"), ("kl", "clean")]
    env, _ = final_student(run, adapter, selector)
    assert (env.steps, selector.seen) == (3, {(24, 2)})
