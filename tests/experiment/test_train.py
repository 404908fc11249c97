"""A whole run on a tiny task: its summary, its student, how it is interrupted and goes on."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from l2a_agents.episodes import RuleEpisodes
from l2a_agents.pgpe import PGPE
from l2a_agents.selector import Log, MakeEnv, Selector, Spaces
from l2a_gym.experiment.evaluate import FINAL, best_student, compare, evaluate, final_student, student_seeds
from l2a_gym.experiment.runner import evaluate_run, train
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from l2a_gym.cache import damaged, own_folder
from l2a_gym.errors import UserError
from l2a_gym.experiment.progress import train_selector
from l2a_gym.experiment.run import Run, load_run, load_selector, new_selector
from l2a_gym.preparation.store import TEACHERS
from l2a_gym.tasks.registry import make_task

EPISODE = 1 + 4 * (2 + 1)  # the small task: a dev pass, then four steps of two updates and a dev pass
PAIR = 2 * EPISODE
ROWS = ["none", "uniform", "oracle", "selector"]


@pytest.fixture(scope="module")
def run(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    settings = {"budget": 2 * PAIR, "num_envs": 1, "student_seeds": 2, "export_steps": 6}
    return Run(algo="pgpe", **small, **settings, out=folder / "first")


@pytest.fixture(scope="module")
def summary(run: Run) -> dict[str, Any]:
    return train(run)


def timeless(rows: dict[str, Any]) -> dict[str, Any]:
    """Rows without their wall-clock seconds."""
    plain = {name: [row if isinstance(row, dict) else row.as_dict() for row in each] for name, each in rows.items()}
    return {
        name: [{key: value for key, value in row.items() if key != "seconds"} for row in each]
        for name, each in plain.items()
    }


# The summary


def test_the_summary_has_the_numbers_of_the_contract(run: Run, summary: dict[str, Any]) -> None:
    assert json.loads((run.folder / "summary.json").read_text()) == summary
    names = ["few_shot_teacher", "all_data_teacher", "none", "uniform", "oracle", "selector"]
    assert list(summary["test_accuracy"]) == list(summary["dev_accuracy"]) == names
    for name, accuracy in summary["test_accuracy"].items():
        assert set(accuracy) == {"mean", "per_seed"}
        assert accuracy["mean"] == pytest.approx(np.mean(accuracy["per_seed"]))
        assert len(accuracy["per_seed"]) == (1 if name.endswith("teacher") else 2)
        assert all(0 <= value <= 1 for value in accuracy["per_seed"])
    assert set(summary["parameters"]) == {"teacher", "student"}
    assert set(summary["seconds"]) == {"prepare", "train", "evaluate", "export"}
    assert summary["updates"] == 4 * 2


def test_parameters_are_those_of_the_models(run: Run, summary: dict[str, Any]) -> None:
    exported = AutoModelForSequenceClassification.from_pretrained(run.folder / "student")
    teacher = AutoModelForSequenceClassification.from_pretrained(run.checkpoint)
    student = run.environment().world.prepared.student()
    sizes = [model.num_parameters() for model in (student, teacher, exported)]
    assert [summary["parameters"]["student"], summary["parameters"]["teacher"]] == sizes[:2]
    assert summary["exported"]["parameters"] == {"student": sizes[2], "teacher": sizes[1]}


def test_accuracies_of_teachers_are_those_of_their_logits(run: Run, summary: dict[str, Any]) -> None:
    prepared = run.environment().world.prepared
    for split in ("dev", "test"):
        rows = prepared.rows[split]
        for name in ("few-shot", "all-data"):
            guess = prepared.array(f"answers/{name}")[rows].argmax(1)
            expected = float((guess == prepared.array("tokens/label")[rows]).mean())
            accuracy = summary[f"{split}_accuracy"][f"{name.replace('-', '_')}_teacher"]
            assert accuracy["mean"] == pytest.approx(expected, abs=1e-9)


def test_rows_are_those_of_the_evaluations_seeds(run: Run, summary: dict[str, Any]) -> None:
    assert list(summary["rows"]) == ROWS
    for name, rows in summary["rows"].items():
        assert [row["seed"] for row in rows] == student_seeds(0, 2)
        assert [row["test"]["accuracy"] for row in rows] == summary["test_accuracy"][name]["per_seed"]
        assert [row["updates"] for row in rows] == [8, 8]


def test_returns_are_the_fall_of_dev_nll(run: Run, summary: dict[str, Any]) -> None:
    env = run.environment()
    for row in summary["rows"]["uniform"]:
        _, info = env.reset(seed=row["seed"])
        assert info["dev_nll"] - row["dev"]["nll"] == pytest.approx(row["episode_return"], abs=1e-6)


def test_the_budget_was_spent_and_recorded(run: Run, summary: dict[str, Any]) -> None:
    record = [json.loads(line) for line in (run.folder / "record.jsonl").read_text().splitlines()]
    assert [row["spent"] for row in record] == [PAIR, 2 * PAIR]
    assert summary["spent"] == json.loads((run.folder / "selector" / "progress.json").read_text())["spent"] == 2 * PAIR
    saved = json.loads((run.folder / "selector" / "pgpe.json").read_text())["theta"]
    assert [value for name, value in record[-1].items() if name.startswith("theta/")] == saved
    assert list((run.folder / "tensorboard").iterdir())
    assert load_run(run.folder) == run


def test_the_same_run_again_gives_the_same_rows(run: Run, summary: dict[str, Any]) -> None:
    again = train(replace(run, out=run.folder.parent / "again"))
    assert timeless(again["rows"]) == timeless(summary["rows"])
    assert again["exported"] == summary["exported"]
    one, two = ((run.folder.parent / name / "selector" / "pgpe.json").read_bytes() for name in ("first", "again"))
    assert one == two


def test_a_finished_run_is_not_trained_again(run: Run, summary: dict[str, Any]) -> None:
    before = (run.folder / "record.jsonl").read_text()
    selector = new_selector(run)
    assert train_selector(run, selector) == summary["spent"]
    assert (run.folder / "record.jsonl").read_text() == before
    assert np.array_equal(selector.theta, load_selector(run).theta)  # type: ignore[attr-defined]


def test_a_second_process_waits_until_the_first_has_left_the_folder(
    run: Run, summary: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "l2a_gym")
    with ThreadPoolExecutor() as pool:
        with FileLock(f"{run.folder}.lock"):
            second = pool.submit(train, run)
            while f"waiting for another process that works on {run.folder}" not in caplog.messages:
                assert not second.done()
        assert second.result()["rows"] == summary["rows"]


def test_a_link_in_the_place_of_the_student_is_followed(run: Run, summary: dict[str, Any]) -> None:
    student, far = run.folder / "student", run.folder.parent / "far"
    student.rename(far)
    student.symlink_to(far, target_is_directory=True)
    (far / "config.json").write_text("{")
    assert train(run)["exported"] == summary["exported"]
    assert student.is_symlink()
    assert own_folder(far)
    assert damaged(far) == []


def test_an_edited_card_stays(run: Run, summary: dict[str, Any]) -> None:
    card = run.folder / "student" / "README.md"
    before = card.read_text(encoding="utf-8")
    card.write_text("mine", encoding="utf-8")
    train(run)
    assert card.read_text(encoding="utf-8") == "mine"
    card.write_text(before, encoding="utf-8")


def test_evaluation_is_on_fresh_students(run: Run, summary: dict[str, Any]) -> None:
    evaluation = evaluate_run(run.folder, 1)
    fresh = {row["seed"] for row in evaluation["rows"]["selector"]}
    assert len(fresh) == 1
    assert not fresh & {row["seed"] for row in summary["rows"]["selector"]}
    assert json.loads((run.folder / "evaluation.json").read_text()) == evaluation
    assert evaluation["test_accuracy"]["few_shot_teacher"] == summary["test_accuracy"]["few_shot_teacher"]


# Controls


def test_controls_do_not_depend_on_the_selector(run: Run) -> None:
    seeds = student_seeds(5, 1)
    one, two = (compare(run, new_selector(run, name), seeds) for name in ("similarity", "none"))
    assert list(one) == ROWS
    controls = [{name: each[name] for name in ROWS[:3]} for each in (one, two)]
    assert timeless(controls[0]) == timeless(controls[1])
    assert timeless(two)["selector"] == timeless(two)["none"]
    assert timeless(one)["selector"] != timeless(one)["none"]


def test_the_order_of_seeds_does_not_matter(run: Run) -> None:
    forward, backward = (evaluate(run, new_selector(run, "uniform"), seeds) for seeds in ([1, 2], [2, 1]))
    assert timeless({"": forward})[""] == timeless({"": backward})[""][::-1]


def test_the_oracle_drops_exactly_the_flipped(run: Run) -> None:
    env, oracle = run.environment(features=["clean"]), new_selector(run, "oracle")
    observation, _ = env.reset(seed=0)
    flipped = np.array(env.world.prepared.pool()["flipped"])[env.save_state().episode.rows]
    assert np.array_equal(oracle.act(observation) == 0, flipped)
    assert 0 < flipped.sum() < len(flipped)


# The exported student


def test_the_student_folder_predicts_as_the_final_student(run: Run, summary: dict[str, Any]) -> None:
    env, scores = best_student(run, load_selector(run))
    own = ("parameters", "dev_accuracy", "test_accuracy")  # of the folder
    assert scores | {name: summary["exported"][name] for name in own} == summary["exported"]
    prepared, texts = env.world.prepared, make_task(run.task).test
    rows = prepared.rows["select"]
    hits = {name: (prepared.logits(name, rows).argmax(1) == prepared.labels(rows)).sum() for name in TEACHERS}
    assert hits[scores["teacher"]] == max(hits.values())
    assert scores["updates"] == 2 * run.export_steps
    taught = prepared.logits(scores["teacher"], slice(0, prepared.rows["train"].stop))
    torch.testing.assert_close(env.batch.students.distillers[0].texts.teacher, taught)
    expected = env.predict(prepared.tokens(prepared.rows["test"])).float().softmax(1)
    classify = pipeline("text-classification", str(run.folder / "student"), top_k=None, device="cpu")
    answers = classify(list(texts.text))
    labels = prepared.manifest()["labels"]
    found = torch.tensor(
        [[{row["label"]: row["score"] for row in each}[label] for label in labels] for each in answers]
    )
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # bfloat16 in training
    accuracy = (found.argmax(1).numpy() == texts.label).mean()
    assert accuracy == summary["exported"]["test_accuracy"]


def test_the_policy_that_is_better_on_select_chooses_for_the_exported_student(run: Run) -> None:
    prepared = run.environment().world.prepared
    select = prepared.labelled(prepared.rows["select"])

    def loss(policy: str) -> float:
        env, _ = final_student(run, new_selector(run, policy))
        return float(cross_entropy(env.predict(select.tokens), select.label))

    uniform = loss("uniform")
    for name in ("none", "similarity", "oracle"):
        _, scores = best_student(replace(run, algo=name), new_selector(run, name))
        assert scores["policy"] == (name if loss(name) < uniform else "uniform")


def test_no_student_is_exported_that_diverged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FINAL, "learning_rate", 1e30)
    with pytest.raises(UserError, match=r"^the student's loss is not finite after \d+ updates: no student to export$"):
        final_student(run, load_selector(run))


def test_the_students_tokenizer_gives_the_ids_it_was_taught_with(run: Run, summary: dict[str, Any]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "student")
    prepared = run.environment().world.prepared
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
    assert f"{summary['exported']['parameters']['student']:,} parameters" in card


# Interruption


class Stopped(PGPE):
    """Is interrupted after its second report."""

    def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
        def stop(spent: int, values: dict[str, float]) -> None:
            log(spent, values)
            if spent >= 2 * PAIR:
                raise KeyboardInterrupt

        super().train(make_env, budget, seed, stop, num_envs)


def spaces_of(selector: Selector) -> Any:
    return selector.spaces  # type: ignore[attr-defined]


def stored(run: Run) -> Any:
    """The selector as the run's folder has it, finished or not."""
    selector = new_selector(run)
    selector.load(run.folder / "selector")
    return selector


def test_interrupted_training_goes_on_with_the_rest(run: Run) -> None:
    run = replace(run, budget=4 * PAIR, out=run.folder.parent / "interrupted")
    first = Stopped(spaces_of(new_selector(run)))
    with pytest.raises(KeyboardInterrupt):
        train_selector(run, first)
    progress = json.loads((run.folder / "selector" / "progress.json").read_text())
    assert progress == {"spent": 2 * PAIR, "finished": False, "budget": 4 * PAIR}
    assert np.array_equal(stored(run).theta, first.theta)

    second = new_selector(run)
    assert train_selector(run, second) == 4 * PAIR
    record = [json.loads(line) for line in (run.folder / "record.jsonl").read_text().splitlines()]
    assert [row["spent"] for row in record] == [PAIR, 2 * PAIR, 3 * PAIR, 4 * PAIR]
    thetas = np.array([[value for name, value in row.items() if name.startswith("theta/")] for row in record])
    steps = np.diff(thetas, axis=0)
    assert (np.linalg.norm(steps, axis=1) < 0.08 * 6).all()  # no step back to the start
    assert not np.allclose(steps[1:], [steps[0], thetas[0]])  # other draws than those of the first part
    assert np.array_equal(second.theta, thetas[-1])  # type: ignore[attr-defined]


def test_interrupted_ppo_keeps_its_policy(run: Run) -> None:
    pytest.importorskip("stable_baselines3")
    from l2a_agents.sb3_presets import PPOSelector
    from l2a_agents.sb3_rules import Config

    class StoppedPPO(PPOSelector):
        def train(self, make_env: MakeEnv, budget: int, seed: int, log: Log, num_envs: int = 1) -> None:
            def stop(spent: int, values: dict[str, float]) -> None:
                log(spent, values)
                raise KeyboardInterrupt

            super().train(make_env, budget, seed, stop, num_envs)

    run = replace(run, algo="ppo", budget=10**6, out=run.folder.parent / "interrupted-ppo")
    selector = StoppedPPO(spaces_of(new_selector(replace(run, algo="uniform"))))
    with pytest.raises(KeyboardInterrupt):
        train_selector(run, selector)
    spent = json.loads((run.folder / "selector" / "progress.json").read_text())["spent"]
    assert spent >= Config().rollout * EPISODE
    loaded = stored(run)
    start, _ = run.environment().reset(seed=0)
    assert np.array_equal(loaded.act(start), selector.act(start))
    assert train_selector(replace(run, budget=spent), new_selector(run)) == spent


def test_a_larger_budget_goes_on_from_a_smaller_one(run: Run, summary: dict[str, Any]) -> None:
    run = replace(run, algo="random-search", budget=1, out=run.folder.parent / "search")
    spent = train_selector(run, new_selector(run))
    assert spent == 4 * EPISODE
    assert train_selector(replace(run, budget=spent + 1), new_selector(run)) == 8 * EPISODE


def test_training_episodes_are_not_those_of_the_evaluation(run: Run) -> None:
    make_env, face = run.make_env(), Spaces.from_env(run.environment())
    seeds = {seed for number in range(50) for seed in RuleEpisodes(make_env, face, number).seeds}
    assert not seeds & {seed for stream in (0, 1, 2) for seed in student_seeds(stream, 50)}


# What is wrong is found before the folder is made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "reinforcee"}, "did you mean 'reinforce'"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"student": "tinny"}, "did you mean 'tiny'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"task": "hutto/nyt-65"}, "did you mean 'hutto/nyt-64'"),
        ({"task": "nowhere/task.toml"}, "nowhere/task.toml"),
        ({"checkpoint": "/nowhere"}, "/nowhere"),
    ],
)
def test_no_half_written_run_is_left(run: Run, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(replace(run, **change, out=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_what_an_export_would_replace_is_found_out_before_training(run: Run, tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "model.safetensors").write_text("of mine")
    with pytest.raises(UserError, match=r"holds student, and no config.json of a run: give another folder with --out"):
        train(replace(run, out=tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["student", "model.safetensors"]


def test_a_run_folder_that_cannot_be_made_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=rf"^{tmp_path}/file/run can't be written \(.*: make room .* name another place with --out"
    ):
        train(replace(run, out=tmp_path / "file" / "run"))
