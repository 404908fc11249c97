"""One training and its score, on the toy and on a small real task."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from l2a_agents.pgpe import PGPE
from l2a_agents.registry import selector_class
from l2a_agents.rollout import training_seeds
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.cache import cache_dir
from l2a_gym.distill.device import one_thread
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.errors import UserError
from l2a_gym.experiment import examples as module
from l2a_gym.experiment.adapter import DistillAdapter, score_student
from l2a_gym.experiment.job import Job, attempt, check_options
from l2a_gym.experiment.references import names_of
from l2a_gym.experiment.rows import Failure, Row, rounded, unpack
from l2a_gym.experiment.seeds import ABLATION, EVALUATION, EXPORT, episode_seeds, student_seeds, training_seed
from l2a_gym.experiment.students import final_students
from l2a_gym.experiment.suite import SUITES
from l2a_gym.experiment.teachers import score_teacher
from l2a_gym.preparation.store import TEACHERS

PAIR = 2 * (1 + 4 * 3)  # two episodes of the small task: a look at dev, then four steps of two updates and a look


def timeless(row: Row | Failure) -> Row:
    assert isinstance(row, Row), row
    return replace(row, seconds=0.0)


def test_a_job_repeats_itself(small_job: Job, small_rows: list[Row]) -> None:
    assert timeless(attempt(small_job)) == timeless(small_rows[-1])


def test_threads_change_nothing(small_job: Job, small_rows: list[Row]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert timeless(attempt(replace(small_job, selector="uniform"))) == timeless(small_rows[0])
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_row_holds_what_the_environment_gives(small: dict[str, Any], small_job: Job, small_rows: list[Row]) -> None:
    uniform = small_rows[0]
    env = DistillAugEnv(**small)
    for student, seed in zip(uniform.students, small_job.seeds, strict=True):
        _, info = env.reset(seed=seed)
        first, total = info["dev_nll"], 0.0
        with one_thread():
            for action in unpack(student.actions, env.candidates, env.candidates):
                assert action.tolist() == [1.0] * 24
                observation, reward, over, _, info = env.step(action)
                total += reward
        assert over
        assert (student.seed, student.episode_return) == (seed, total)
        assert total == pytest.approx(first - info["dev_nll"], abs=1e-6)
        dev, test = (score_student(env, split) for split in ("dev", "test"))
        assert student.score == student.metrics["test_accuracy"] == test.accuracy
        assert student.metrics["dev_nll"] == dev.nll == pytest.approx(info["dev_nll"])
        assert set(student.metrics) == {
            f"{split}_{name}" for split in ("dev", "test") for name in ("accuracy", "nll", "macro_f1")
        }
    assert uniform.reference_score == score_teacher(env.world.prepared, "all-data", "test").accuracy
    assert list(uniform.domain_share) == list(env.domains)
    assert list(uniform.operator_share) == list(env.operators)
    last = [uniform.domain_share[name][-1] for name in env.domains]
    assert sum(last) == pytest.approx(1, abs=1e-3)
    assert len(uniform.students) == 2
    assert observation["domains"].shape[0] == len(last)


def test_a_row_holds_what_teachers_and_references_are_worth(adapter: DistillAdapter, small_rows: list[Row]) -> None:
    expected = {f"{name} teacher": each for name, each in adapter.teachers.items()} | adapter.references
    for row in small_rows:
        assert list(row.classifiers) == [*(f"{name} teacher" for name in TEACHERS), *names_of(adapter.task)]
        for name, figures in row.classifiers.items():
            found, known = asdict(figures), asdict(expected[name])
            assert found.pop("texts") == len(adapter.task.test)
            assert found == {key: known[key] for key in ("test_accuracy", "labels", "parameters")}
        assert row.classifiers["all-data teacher"].test_accuracy == row.reference_score


def test_weight_on_wrong_labels_is_recorded_step_by_step(
    small: dict[str, Any], adapter: DistillAdapter, small_job: Job, small_rows: list[Row]
) -> None:
    env = DistillAugEnv(**{**small, "features": ["clean"]})
    wrong, given, everything = [], 0.0, 0.0
    for student, seed in zip(small_rows[-1].students, small_job.seeds, strict=True):
        (observation, _), shares = env.reset(seed=seed), []
        given, everything = 0.0, 0.0
        for action in unpack(student.actions, env.candidates, env.candidates):
            given += float(action @ (1 - observation["candidates"][:, env.columns.index("clean")]))
            everything += float(action.sum())
            shares.append(given / everything)
            observation = env.step(action)[0]
        wrong.append(shares)
    uniform, oracle, learner = small_rows
    assert learner.wrong_share == pytest.approx(np.mean(wrong, axis=0), abs=1e-4)
    assert oracle.wrong_share == [0.0] * 4
    share = adapter.prepared.pool()["flipped"]  # 40 % of the sources', none of what was made of the shots
    assert uniform.wrong_share[-1] == pytest.approx(np.mean(share), abs=0.05)


def test_examples_are_texts_of_the_first_student(adapter: DistillAdapter, small_rows: list[Row]) -> None:
    pool = adapter.prepared.pool()
    wrong = dict(zip(pool["text"], pool["flipped"], strict=True))
    domains, labels = adapter.prepared.manifest()["domains"], adapter.prepared.manifest()["labels"]
    texts = {(row["text"], labels[row["label"]], domains[row["domain"]]) for row in pool}
    for row in small_rows:
        assert len(row.examples) == 6
        assert {(each.text, each.label, each.domain) for each in row.examples} <= texts
        assert [each.wrong for each in row.examples] == [wrong[each.text] for each in row.examples]
        weights = [each.weight for each in row.examples]
        assert weights == sorted(weights, reverse=True)
    oracle = small_rows[1].examples
    assert [(each.weight, each.wrong) for each in oracle] == [(1.0, False)] * 3 + [(0.0, True)] * 3


def test_examples_are_weighed_by_the_times_they_were_shown_and_cut(
    adapter: DistillAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (played,) = final_students(adapter, adapter.selector("none"), [1])
    shown = np.array([[0, 1, 2, 3], [3, 2, 1, 4]])
    weights = np.array([[0, 1, 0.5, 0], [1, 0, 0.5, 0.75]], dtype=np.float32)
    monkeypatch.setattr(module, "LENGTH", 12)
    pool = adapter.prepared.pool()
    found = module.examples(adapter, replace(played, shown=shown, weights=weights))
    # Means of 0, 0.75, 0.25, 0.5 and 0.75; five candidates are fewer than three and three.
    assert [each.weight for each in found] == [0.75, 0.75, 0.5, 0.25, 0.0]
    assert [each.text for each in found] == [f"{pool[i]['text'][:11]}\N{HORIZONTAL ELLIPSIS}" for i in (1, 4, 3, 2, 0)]


def test_classifiers_of_a_task_are_scored_once(small_job: Job, small_rows: list[Row]) -> None:
    written = {file: file.stat().st_mtime_ns for file in (cache_dir() / "figures").rglob("*.json")}
    again = timeless(attempt(replace(small_job, selector="none")))
    assert again.classifiers == small_rows[0].classifiers
    assert {file: file.stat().st_mtime_ns for file in (cache_dir() / "figures").rglob("*.json")} == written != {}


def test_the_curve_is_what_was_saved_on_the_way(small: dict[str, Any], small_job: Job, small_rows: list[Row]) -> None:
    row = small_rows[-1]
    assert [point.spent for point in row.curve] == [PAIR + 1, 2 * PAIR + 1, 3 * PAIR + 1][: len(row.curve)]
    assert row.spent == row.curve[-1].spent
    make_env = MakeEnv("l2a_gym:L2A-Distill-v0", **small, **PGPE.env_options)
    env = make_env()
    selector = PGPE(Spaces.from_env(env))
    with one_thread():
        selector.train(make_env, PAIR, training_seed(small_job.task, small_job.seed), lambda *_: None)
        returns = []
        for seed in small_job.seeds:
            (observation, _), total, over = env.reset(seed=seed), 0.0, False
            while not over:
                observation, reward, over, _, _ = env.step(rounded(selector.act(observation), 24))
                total += float(reward)
            returns.append(total)
    assert row.curve[0].episode_return == pytest.approx(np.mean(returns), abs=1e-12)


def test_what_learns_nothing_has_one_point_and_no_cost(small_rows: list[Row]) -> None:
    assert [(row.spent, len(row.curve)) for row in small_rows[:2]] == [(0, 1), (0, 1)]
    assert small_rows[1].options == {"features": ["clean"]}


def test_students_of_all_selectors_have_the_same_seeds(small_rows: list[Row], small_job: Job) -> None:
    assert {tuple(student.seed for student in row.students) for row in small_rows} == {tuple(small_job.seeds)}
    assert not set(small_job.seeds) & set(replace(small_job, seed=1).seeds)


def test_every_task_and_seed_has_draws_of_its_own() -> None:
    jobs = [Job(task, "uniform", seed, 100, 3) for task in SUITES["full"].tasks for seed in range(10)]
    drawn = [each for job in jobs for each in (*job.seeds, training_seed(job.task, job.seed))]
    assert len(set(drawn)) == len(drawn)
    here, there = (Job(f"{folder}/clinic.toml", "uniform", 0, 100, 3) for folder in ("a", "b/c"))
    assert here.seeds == there.seeds


def test_students_are_trained_on_seeds_that_no_training_and_no_other_part_has() -> None:
    trained = {seed for number in range(50) for seed in training_seeds(training_seed("toy", number))}
    streams = [episode_seeds(stream, 50, 0) for stream in (EXPORT, EVALUATION, ABLATION)]
    drawn = [*student_seeds("toy", 50, 0), *(seed for stream in streams for seed in stream)]
    assert len(set(drawn)) == 200
    assert not trained & set(drawn)


def test_the_order_of_students_does_not_matter(adapter: DistillAdapter) -> None:
    selector = adapter.selector("uniform")
    forward, backward = (final_students(adapter, selector, seeds) for seeds in ([1, 2], [2, 1]))
    assert [each.student for each in forward] == [each.student for each in backward][::-1]


def test_a_selector_may_ask_for_features_and_trust_and_for_nothing_else() -> None:
    class Slow(selector_class("uniform")):  # type: ignore[misc]  # a class made at run time
        env_options: ClassVar[dict[str, Any]] = {"features": ["kl"], "steps": 60}

    class Drawing(selector_class("uniform")):  # type: ignore[misc]
        env_options: ClassVar[dict[str, Any]] = {"action": "mixture"}

    check_options(selector_class("oracle"))
    check_options(selector_class("doubt"))
    with pytest.raises(UserError, match=r"Slow asks for steps in its env_options, .*: valid are features, action"):
        check_options(Slow)
    with pytest.raises(UserError, match=r"^Drawing asks for action = 'mixture', .*: valid are weights, trust$"):
        check_options(Drawing)


def test_a_job_may_set_its_selectors_hyper_parameters(toy_job: Job, toy_row: Row) -> None:
    usual = PGPE.config_class()
    rows = [attempt(replace(toy_job, hyper={"sigma": sigma})) for sigma in (usual.sigma, 0.1)]
    assert [timeless(row).hyper for row in rows] == [{"sigma": usual.sigma}, {"sigma": 0.1}]
    same, other = ([student.actions for student in timeless(row).students] for row in rows)
    assert same == [student.actions for student in toy_row.students] != other


def test_the_toys_row_has_its_own_formulas(toy_job: Job, toy_row: Row) -> None:
    env = ToyEnv()
    expected = [(1 + env.optimal_return(seed)) / 2 for seed in toy_job.seeds]
    assert toy_row.reference_score == pytest.approx(np.mean(expected))
    for student in toy_row.students:
        assert student.score == pytest.approx((1 + student.episode_return) / 2)
    assert (toy_row.prepared, toy_row.students[0].metrics, toy_row.classifiers) == ("", {}, {})
    assert (toy_row.wrong_share, toy_row.examples) == ([], ())


def test_what_goes_wrong_becomes_a_record(toy_job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_selector.py").write_text(
        "from l2a_agents.fixed import Uniform\n"
        "class Broken(Uniform):\n"
        "    def act(self, observation, deterministic=True):\n"
        "        raise RuntimeError('no idea')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "exits.py").write_text(
        "from l2a_agents.fixed import Uniform\n"
        "class Exits(Uniform):\n"
        "    def act(self, observation, deterministic=True):\n"
        "        raise SystemExit('enough')\n",
        encoding="utf-8",
    )
    exited = attempt(replace(toy_job, selector="exits:Exits"))
    assert isinstance(exited, Failure)
    assert exited.reason == "SystemExit: enough"
    failure = attempt(replace(toy_job, selector="broken_selector:Broken"))
    assert isinstance(failure, Failure)
    assert failure.key == ("toy", "broken_selector:Broken", 0)
    assert failure.reason == "RuntimeError: no idea"
    assert "broken_selector.py" in failure.error
