"""The ablation: which variants there are, their students' seeds, how it goes on, and the table's arithmetic."""

from __future__ import annotations

import csv
import json
import runpy
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.errors import UserError
from l2a_gym.experiment import ablate as module
from l2a_gym.experiment.ablate import ablate, read_students, train_students
from l2a_gym.experiment.ablation_table import OTHERS, VariantStudent, as_csv, effects, markdown, t_interval
from l2a_gym.experiment.adapter import DistillAdapter, distill
from l2a_gym.experiment.final import export_student, final_student
from l2a_gym.experiment.run import load_run, load_selector
from l2a_gym.experiment.seeds import ABLATION, EXPORT, episode_seeds
from l2a_gym.experiment.settings import Ablation, Run
from l2a_gym.experiment.teachers import chosen_teacher, score_teacher
from l2a_gym.experiment.train import train
from l2a_gym.experiment.variants import VARIANTS, Variant

SCRIPT = Path(__file__).parents[2] / "scripts" / "ablate.py"
EPISODE = 1 + (1 + 1)
NAMES = [each.name for each in VARIANTS]
OWN = {f"without-{part}" for part in ("generator", "selector", "both", "general-distillation")}
"""The folders of the variants that train a selector of their own."""


@pytest.fixture(scope="module")
def adapter(tiny: dict[str, Any]) -> DistillAdapter:
    return DistillAdapter(tiny["task"], {name: value for name, value in tiny.items() if name != "task"})


@pytest.fixture(scope="module")
def plan(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    settings = {"algo": "pgpe", "budget": 4 * EPISODE, "num_envs": 1, "students": 2, "export_steps": 3}
    return Ablation(**tiny, **settings, out=tmp_path_factory.mktemp("ablation") / "whole")


@pytest.fixture(scope="module")
def rows(plan: Ablation) -> list[dict[str, Any]]:
    return ablate(plan)


def timeless(students: list[VariantStudent]) -> list[VariantStudent]:
    return [replace(student, seconds=0) for student in students]


def variant(name: str) -> Variant:
    return VARIANTS[NAMES.index(name)]


# What is run


def test_each_variant_changes_what_its_name_says(plan: Ablation) -> None:
    full = asdict(plan.full)
    changes = {}
    for each in VARIANTS:
        run = asdict(plan.run_of(each))
        changes[each.name] = {key: value for key, value in run.items() if value != full[key] and key != "out"}
    both = {"pool": "sources", "algo": "uniform"}
    assert changes == {name: {} for name in NAMES} | {
        "without generator": {"pool": "sources"},
        "without selector": {"algo": "uniform"},
        "without both": both,
        "without general distillation": {"general_updates": 0},
    }
    assert {name: dict(variant(name).distillation) for name in NAMES if variant(name).distillation} == {
        "hard labels only": {"alpha": 0},
        "soft labels only": {"alpha": 1},
    }
    assert [name for name in NAMES if variant(name).phrases == 0] == ["without phrases", "hard labels only"]
    assert {name: variant(name).teacher for name in NAMES if variant(name).teacher} == {
        "few-shot teacher": "few-shot",
        "all-data teacher": "all-data",
    }


def test_the_method_is_l2a_on_the_generated_pool() -> None:
    plan = Ablation()
    assert (plan.full.algo, plan.full.pool, plan.full.rounds, plan.students) == ("l2a", "generated", 1, 6)
    runs = {each.name: plan.run_of(each) for each in VARIANTS}
    assert (runs["without selector"].pool, runs["without generator"].algo) == ("generated", "l2a")
    twice = replace(plan, rounds=2)
    assert [twice.run_of(each).rounds for each in VARIANTS[1:3]] == [2, 1]


def test_variants_share_a_selector_where_nothing_that_it_sees_differs(plan: Ablation) -> None:
    folders = {each.name: plan.run_of(each).folder.name for each in VARIANTS}
    assert {name for name in folders.values() if name != "full"} == OWN
    assert {name for name, folder in folders.items() if folder == "full"} == {
        "full",
        "without phrases",
        "hard labels only",
        "soft labels only",
        "few-shot teacher",
        "all-data teacher",
    }
    plain = replace(plan, algo="uniform", pool="sources")
    assert {plain.run_of(variant(name)).folder.name for name in NAMES} == {
        "full",
        "without-general-distillation",
    }


def test_named_variants_run_beside_the_full_method(plan: Ablation) -> None:
    chosen = replace(plan, variants=("soft labels only", "without generator")).chosen()
    assert [each.name for each in chosen] == ["full", "without generator", "soft labels only"]
    assert plan.chosen() == list(VARIANTS)


# The students


def test_every_variant_has_a_student_for_each_seed(plan: Ablation, rows: list[dict[str, Any]]) -> None:
    students = read_students(plan.folder / "rows.jsonl")
    seeds = episode_seeds(ABLATION, 2, plan.seed)
    assert [(each.variant, each.seed) for each in students] == [(name, seed) for name in NAMES for seed in seeds]
    assert [row["variant"] for row in rows] == NAMES
    assert effects(students, VARIANTS) == rows


def test_only_what_needs_one_trained_a_selector(plan: Ablation, rows: list[dict[str, Any]]) -> None:
    folders = {path.name for path in plan.folder.iterdir() if path.is_dir()}
    assert folders == {"full", *OWN}
    for name in folders:
        spent = json.loads((plan.folder / name / "selector" / "progress.json").read_text())["spent"]
        assert spent == (0 if name in ("without-selector", "without-both") else 4 * EPISODE + 1)
        assert load_run(plan.folder / name).out == plan.folder / name
    records = {name: (plan.folder / name / "record.jsonl").read_text() for name in folders}
    assert len(records["full"].splitlines()) == 2  # of one training
    assert len({records[name] for name in ("full", "without-generator", "without-general-distillation")}) == 3


def test_the_full_methods_student_is_the_one_that_a_run_exports(
    plan: Ablation, rows: list[dict[str, Any]], adapter: DistillAdapter
) -> None:
    run = replace(plan.full, students=1, out=plan.folder.parent / "run")
    exported = train(run)["exported"]
    assert (run.folder / "record.jsonl").read_text() == (plan.folder / "full" / "record.jsonl").read_text()
    selector = load_selector(run, adapter)
    exported.pop("texts_per_second")
    again = export_student(run, adapter, selector, plan.folder.parent / "student")
    assert exported.items() <= again.items()
    policy = exported.pop("policy")
    assert json.loads((plan.folder / "full" / "policy.json").read_text())["policy"] == policy
    selector = selector if policy == run.algo else adapter.selector(policy)
    seed = episode_seeds(EXPORT, 1, run.seed)[0]
    scores = [
        final_student(run, adapter, selector, seed=seed, teacher=exported["teacher"], anchors=anchors)[1]
        for anchors in ("shots", "all")
    ]
    assert scores[0]["dev_accuracy"] == exported["dev_accuracy"]
    assert scores[1]["test_accuracy"] == exported["test_accuracy"]
    assert scores[1]["parameters"] < exported["parameters"]  # an exported student reads texts of any length
    prepared = adapter.prepared
    for student in [each for each in read_students(plan.folder / "rows.jsonl") if each.variant == "full"]:
        _, scores = final_student(run, adapter, selector, seed=student.seed, anchors="all")
        assert student.test == scores["test_accuracy"]
        assert student.teacher == scores["teacher"] == chosen_teacher(prepared)
        assert student.policy == policy
        assert student.others["few-shot teacher"] == score_teacher(prepared, "few-shot", "test").accuracy
        assert student.others["TF-IDF"] == adapter.references["TF-IDF"].test_accuracy
        size = prepared.manifest()["parameters"]
        assert student.parameters == size["student"] / size["teacher"]


def test_variants_of_the_teacher(plan: Ablation, rows: list[dict[str, Any]], adapter: DistillAdapter) -> None:
    taught = {row["variant"]: row["teacher"] for row in rows}
    assert (taught["few-shot teacher"], taught["all-data teacher"]) == ("few-shot", "all-data")
    assert taught["hard labels only"] == "none"
    scores = {row["variant"]: (row["test"], row["vs. full"]) for row in rows}
    assert taught["full"] == chosen_teacher(adapter.prepared)
    same = [name for name, teacher in taught.items() if name.endswith("teacher") and teacher == taught["full"]]
    assert all(scores[name] == scores["full"] for name in same)
    assert scores["full"][1] == 0


@pytest.mark.parametrize(("name", "matters"), [("hard labels only", False), ("soft labels only", True)])
def test_hard_labels_need_no_teacher_and_soft_ones_do(
    plan: Ablation, adapter: DistillAdapter, name: str, matters: bool
) -> None:
    outputs = []
    for teacher in ("few-shot", "all-data"):
        given: dict[str, Any] = {"distillation": variant(name).distillation, "phrases": variant(name).phrases}
        env, _ = final_student(plan.full, adapter, adapter.selector("uniform"), seed=5, teacher=teacher, **given)
        tokens = env.world.prepared.tokens(env.world.prepared.rows["dev"])
        outputs.append(env.predict(tokens).numpy())
    assert np.array_equal(*outputs) is not matters


def test_soft_labels_need_no_labels(adapter: DistillAdapter) -> None:
    outputs = {}
    for alpha in (1.0, 0.7):
        for flip in (False, True):
            env = distill(adapter.make_env(steps=2, distillation={"alpha": alpha})())
            if flip:
                env.world.texts.label.copy_(1 - env.world.texts.label)
            observation, _ = env.reset(seed=5)
            env.step(adapter.selector("uniform").act(observation))
            outputs[alpha, flip] = env.predict(env.world.dev.tokens).numpy()
    assert np.array_equal(outputs[1.0, False], outputs[1.0, True])
    assert not np.array_equal(outputs[0.7, False], outputs[0.7, True])


def test_each_variant_has_rounds_and_pools_of_its_own(plan: Ablation) -> None:
    names = ("without generator", "without selector")
    twice = replace(plan, rounds=2, variants=names, out=plan.folder.parent / "rounds")
    ablate(twice)
    pools = {name: twice.folder / name / "round-1" / "pool" / "pool.json" for name in ("full", "without-generator")}
    copies = {name: json.loads(file.read_text())["copies"] for name, file in pools.items()}
    assert copies["without-generator"] == {}
    assert list(copies["full"]) == ["swap", "delete", "insert", "replace"]
    assert not (twice.folder / "without-selector" / "round-1").exists()


# Interruption


@pytest.mark.parametrize("left", [12, 17])
def test_missing_students_are_trained_and_no_others(
    plan: Ablation, rows: list[dict[str, Any]], left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = plan.folder / "rows.jsonl"
    whole = file.read_text()
    lines = whole.splitlines(keepends=True)
    kept = lines[len(lines) - left :]  # the last ones, so that the order of training differs
    file.write_text("".join(kept) + lines[0][:40])
    trained = []

    def counted(*arguments: Any, **options: Any) -> Any:
        trained.append(options["seed"])
        return final_student(*arguments, **options)

    monkeypatch.setattr(module, "final_student", counted)
    again = ablate(plan)
    assert again == rows
    assert len(trained) == len(lines) - left
    assert file.read_text().splitlines(keepends=True)[:left] == kept
    found = sorted(timeless(read_students(file)), key=lambda each: (NAMES.index(each.variant), each.seed))
    file.write_text(whole)
    before = sorted(timeless(read_students(file)), key=lambda each: (NAMES.index(each.variant), each.seed))
    assert found == before


def test_stopped_in_the_middle_of_a_student_it_goes_on_to_the_same_rows(
    plan: Ablation, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = replace(plan, variants=("without selector",), out=plan.folder.parent / "stopped")
    trained = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        trained.append(options["seed"])
        if len(trained) == 4:
            raise KeyboardInterrupt
        return final_student(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "final_student", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ablate(stopped)
    assert len(read_students(stopped.folder / "rows.jsonl")) == 3
    assert not (stopped.folder / "ablation.md").exists()
    assert ablate(stopped) == [row for row in rows if row["variant"] in ("full", "without selector")]


def test_more_students_and_other_variants_go_on_in_the_same_folder(
    plan: Ablation, rows: list[dict[str, Any]], adapter: DistillAdapter
) -> None:
    before = read_students(plan.folder / "rows.jsonl")
    more = replace(plan, variants=("few-shot teacher",), students=3)
    students = train_students(more, adapter)
    assert [each for each in students if each in before] == [
        each for each in before if each.variant in ("full", "few-shot teacher")
    ]
    assert len(students) == 6
    assert len(read_students(plan.folder / "rows.jsonl")) == len(before) + 2
    assert ablate(plan) == rows  # the seeds beyond the second are not in it


# The table


def made_up(variant: str, test: list[float], few_shot: float = 0.7, parameters: float = 0.12) -> list[VariantStudent]:
    others = dict(zip(OTHERS, (few_shot, 0.68, 0.66, 0.73), strict=True))
    return [
        VariantStudent(variant, seed, "all-data", "uniform", parameters, value, others, 1.0)
        for seed, value in enumerate(test)
    ]


TWO = (Variant("full"), Variant("other"))
FULL = [0.71, 0.74, 0.70, 0.73]
OTHER = [0.70, 0.72, 0.71, 0.69]


def test_intervals_are_those_of_the_t_distribution() -> None:
    mean, half = t_interval(OTHER)
    assert mean == pytest.approx(0.705)
    assert half == pytest.approx(3.182446 * np.std(OTHER, ddof=1) / 2, rel=1e-6)  # t(0.975, 3) of the tables
    assert t_interval([1.0, 2.0])[1] == pytest.approx(12.706205 * np.sqrt(0.5) / np.sqrt(2), rel=1e-6)
    assert t_interval([0.5, 0.5, 0.5]) == (0.5, 0)


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    inside = [abs(mean - 3) <= half for mean, half in (t_interval(rng.normal(3, 2, 5)) for _ in range(2000))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_effects_are_plain_arithmetic() -> None:
    students = made_up("full", FULL) + made_up("other", OTHER, few_shot=0.69, parameters=0.11)
    full, other = effects(students, TWO)
    assert [other[name] for name in ("variant", "teacher", "policy", "parameters")] == [
        "other",
        "all-data",
        "uniform",
        0.11,
    ]
    assert other["test"] == pytest.approx(0.705)
    difference = np.array([-0.01, -0.02, 0.01, -0.04])
    assert other["vs. full"] == pytest.approx(difference.mean())
    assert other["vs. full half"] == pytest.approx(3.182446 * difference.std(ddof=1) / 2, rel=1e-6)
    assert [other[f"vs. {name}"] for name in OTHERS] == pytest.approx([0.015, 0.025, 0.045, -0.025])
    assert other["vs. few-shot teacher half"] == pytest.approx(other["test half"])
    assert full["vs. full"] == full["vs. full half"] == 0
    assert full["vs. few-shot teacher"] == pytest.approx(0.02)


def test_the_table_in_markdown(plan: Ablation) -> None:
    text = markdown(replace(plan, students=4), effects(made_up("full", FULL) + made_up("other", OTHER), TWO))
    lines = text.splitlines()
    assert lines[0] == f"# Ablation of pgpe on {plan.task}"
    assert lines[2].split(" | ")[4:7] == ["test %", "vs. full", "vs. few-shot teacher"]
    full = "| full | all-data | uniform | 12.0 | 72.0 ± 2.9 | +0.0 ± 0.0 | +2.0 ± 2.9 |"
    assert lines[4] == f"{full} +4.0 ± 2.9 | +6.0 ± 2.9 | -1.0 ± 2.9 |"
    other = "| other | all-data | uniform | 12.0 | 70.5 ± 2.1 | -1.5 ± 3.3 | +0.5 ± 2.1 |"
    assert lines[5] == f"{other} +2.5 ± 2.1 | +4.5 ± 2.1 | -2.5 ± 2.1 |"
    assert len({line.count("|") for line in lines[2:6]}) == 1
    assert len(lines) == 8
    assert lines[7].startswith("± is half of a 95% t-interval over 4 final students, ")


def test_the_table_on_disk_is_the_one_printed(
    plan: Ablation, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    ablate(plan)
    assert capsys.readouterr().out == (plan.folder / "ablation.md").read_text() + "\n"
    with (plan.folder / "ablation.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    names = ("variant", "teacher", "policy")
    assert [{key: value if key in names else float(value) for key, value in row.items()} for row in read] == rows
    assert (plan.folder / "ablation.csv").read_text() == as_csv(rows)


# Mistakes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "pgpee"}, "did you mean 'pgpe'"),
        ({"pool": "source"}, "unknown pool 'source': did you mean 'sources'"),
        ({"export_steps": 0}, "export_steps = 0: valid are whole numbers from 1"),
        ({"task": "hutto/nyt-65"}, "did you mean 'hutto/nyt-64'"),
    ],
)
def test_a_wrong_setting_leaves_nothing_behind(
    plan: Ablation, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        ablate(replace(plan, **change, out=tmp_path / "ablation"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("algo", "uniform"), ("budget", 9), ("export_steps", 4), ("seed", 1)])
def test_a_folder_of_another_ablation_is_refused(
    plan: Ablation, rows: list[dict[str, Any]], name: str, value: object
) -> None:
    with pytest.raises(UserError, match=f"holds an ablation with {name} = .*: give another folder with --out$"):
        ablate(replace(plan, **{name: value}))


def test_a_runs_folder_is_no_ablations_and_the_other_way_round(plan: Ablation, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(UserError, match=f"^{plan.folder}/full holds a run and no ablation: "):
        ablate(replace(plan, out=plan.folder / "full"))
    with pytest.raises(UserError, match="is not a run folder"):
        train(Run(out=plan.folder))


def test_the_command_line(
    plan: Ablation, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = (
        "task",
        "checkpoint",
        "device",
        "algo",
        "budget",
        "num_envs",
        "students",
        "export_steps",
        "general_updates",
    )
    flags = [part for name in names for part in (f"--{name.replace('_', '-')}", str(getattr(plan, name)))]
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["ablate.py", *flags, "--out", str(plan.folder), "--variants", "few-shot teacher"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "| few-shot teacher | few-shot | " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["ablate.py", "--variants", "fewshot teacher"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert end.value.code == 2
    errors = capsys.readouterr().err
    assert "unknown variant 'fewshot teacher': did you mean 'few-shot teacher'? valid are full, " in errors
    assert errors.count("\n") == 1
