"""The student worth taking home: a long episode under a trained selector, and its folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import Any

from l2a_agents.rollout import rollout
from l2a_agents.selector import Selector

from l2a_gym.cache import hashes, write_text
from l2a_gym.distill.calibration import temperature
from l2a_gym.distill.export import check_export, export
from l2a_gym.distill.onnx import FLOAT32, write_onnx
from l2a_gym.distill.student import scaled_rate
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter, distill, score_student
from l2a_gym.experiment.card import model_card
from l2a_gym.experiment.exported import score_export
from l2a_gym.experiment.seeds import EXPORT, episode_seeds
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.stage import stage, undamaged
from l2a_gym.experiment.suite import UNIFORM
from l2a_gym.experiment.teachers import chosen_teacher
from l2a_gym.progress import progress_bar
from l2a_gym.tasks.task import Task

FINAL = {"learning_rate": 7e-4, "alpha": 0.9, "temperature": 1.0}
"""How the exported student learns: a long schedule wants a lower rate, and the teacher's own probabilities."""
PHRASES, MOST_PHRASES = 12, 2**14
"""Phrases of each labelled text that teach the exported student, and of all, where each has more than one."""
PHRASES_SHARE = 0.6
"""The share of an update's loss that labelled texts and phrases have together: a third of it is the labelled texts'."""
DEV_EVERY = 20
"""Steps from one pass over dev to the next in the exported student's schedule, which no reward comes from."""


def final_student(
    run: Run,
    adapter: DistillAdapter,
    selector: Selector,
    *,
    seed: int | None = None,
    teacher: str | None = None,
    distillation: Mapping[str, float] = {},
    phrases: int | None = None,
    anchors: str = "shots",
) -> tuple[DistillAugEnv, dict[str, Any]]:
    """Train a student of the kind ``run.export_student`` in a long episode under the selector.

    Args:
        run: its student and steps; without steps they follow from the classes.
        adapter: of its task.
        selector: plays its deterministic actions.
        seed: of the episode; None: that of the run's exported student.
        teacher: whose logits teach; None: the :func:`~l2a_gym.experiment.teachers.chosen_teacher`.
        distillation: values of :class:`~l2a_gym.distill.config.Distillation`, laid over :data:`FINAL`.
        phrases: of each labelled text; None: as :func:`phrases_for` says.
        anchors: which labelled texts join each update, as the environment's ``reset`` takes it.

    Returns:
        The environment that holds the student, and its teacher, size, accuracies and updates, and the temperature that
        suits dev best.

    Raises:
        UserError: the student's loss became infinite.
    """
    teacher, kind = teacher or chosen_teacher(adapter.prepared), str(run.export_student)
    phrases = phrases_for(adapter.task) if phrases is None else phrases
    share = {"anchor_share": PHRASES_SHARE} if phrases else {}
    final = {**FINAL, **share, "learning_rate": scaled_rate(kind, FINAL["learning_rate"]), **distillation}
    steps = run.export_steps or steps_for(len(adapter.task.labels))
    long = {"steps": steps, "dev_every": DEV_EVERY, "phrases": phrases, "distillation": final}
    view = adapter.env(**{**selector.env_options, "student": kind, "teacher": teacher, **long})
    env = distill(view)
    first = episode_seeds(EXPORT, 1, run.seed)[0] if seed is None else seed
    played = rollout(view, selector.act, first, {"anchors": anchors, "head": head_of(adapter.task)})
    *_, last = progress_bar(played, desc=f"final student ({teacher} teacher)", total=env.steps, leave=False)
    info = last.info
    if info["diverged"]:
        raise UserError(f"the student's loss is not finite after {info['updates']} updates: no student to export")
    dev = env.world.dev
    return env, {
        "teacher": teacher,
        "parameters": env.student.num_parameters(),
        "labels": adapter.task.labels_used,
        "dev_accuracy": score_student(env, "dev").accuracy,
        "test_accuracy": score_student(env, "test").accuracy,
        "temperature": temperature(env.predict(dev.tokens).float(), dev.label),
        "updates": info["updates"],
    }


def head_of(task: Task) -> str:
    """Where the classifier begins: at a regression for pairs and for more than two classes.

    For single texts of two classes, a drawn one is as good with hundreds of labels, and better with a hundred.
    """
    return "drawn" if len(task.labels) == 2 and task.test.pair is None else "fitted"


def phrases_for(task: Task) -> int:
    """Phrases of each labelled text: none for pairs, of which a phrase tells little; fewer where texts are many."""
    return max(1, min(PHRASES, MOST_PHRASES // task.labels_used)) if task.test.pair is None else 0


def steps_for(classes: int) -> int:
    """Steps of a long episode: 100 for two classes, and 50 more for each doubling of the classes."""
    return round(50 * (1 + log2(classes)))


def best_student(run: Run, adapter: DistillAdapter, selector: Selector) -> tuple[DistillAugEnv, dict[str, Any]]:
    """The final student under the selector or under uniform weights, whichever has the better metric on ``select``.

    A selector learns in short episodes. In a long one, what it passes over may be worth more than what it prefers.

    Returns:
        As of :func:`final_student`, and ``policy``, the name of what chose, and ``long``, the name of each of the two
        -> its accuracies, labels and size.
    """
    found, long = [], {}
    for name, policy in policies(run, adapter, selector).items():
        env, scores = final_student(run, adapter, policy)
        metric = score_student(env, "select").value(run.metric)
        long[name] = {key: scores[key] for key in ("dev_accuracy", "test_accuracy", "labels", "parameters")}
        found.append((metric, env, env.save_state(), {**scores, "policy": name, "long": long}))
    _, env, state, scores = max(found, key=lambda each: each[0])
    env.restore_state(state)  # both may have been trained in one environment
    return env, scores


def policies(run: Run, adapter: DistillAdapter, selector: Selector) -> dict[str, Selector]:
    """What may choose for the exported student: name -> selector."""
    return {run.algo: selector, UNIFORM: adapter.selector(UNIFORM)}


def export_student(run: Run, adapter: DistillAdapter, selector: Selector, folder: Path) -> dict[str, Any]:
    """Train the best student and write it as a Hugging Face folder.

    Who chooses is decided by students that learn from the shots alone. The exported one then learns from all labels of
    the target, as nothing is left to choose. Its temperature is that of the student that decided, which has not learnt
    from dev; it is part of the folder's weights.

    Returns:
        Its teacher, policy and number of updates; its temperature, and the score on dev of the student that this is of;
        ``long``, as of :func:`best_student`; and what :func:`~l2a_gym.experiment.exported.score_export` says of the
        folder.

    Raises:
        UserError: something else than an exported student stands at ``folder``, or it can't be written.
    """
    check_export(folder)
    _, held_out = best_student(run, adapter, selector)
    env, scores = final_student(run, adapter, policies(run, adapter, selector)[held_out["policy"]], anchors="all")
    scores |= {name: held_out[name] for name in ("policy", "dev_accuracy", "temperature", "long")}
    prepared, task = env.world.prepared, adapter.task

    def finish(written: Path) -> None:
        if run.onnx:
            write_onnx(written)
        scores.update(score_export(written, task, scores["temperature"], adapter.device))
        write_text(written / "README.md", model_card(run, prepared, scores))

    pairs = task.test.pair is not None
    export(env.student, prepared.tokenizer(), folder, finish, pairs=pairs, temperature=scores["temperature"])
    return scores


def export_once(run: Run, adapter: DistillAdapter, selector: Selector, sources: str) -> dict[str, Any]:
    """Export a run's student unless it was done before and stands as it was written, and return its scores."""
    student = run.folder / "student"

    def make() -> dict[str, Any]:
        scores = export_student(run, adapter, selector, student)
        files = {name: sha for name, sha in hashes(student).items() if name != "README.md"}  # a card may be edited
        return {**scores, "files": files}

    def stands(values: dict[str, Any]) -> bool:
        if run.onnx and FLOAT32 not in values["files"]:
            return False
        if undamaged(student, values["files"]):
            return True
        # A damaged student is of no use to anybody, and the export would refuse to replace it.
        shutil.rmtree(student.resolve(), ignore_errors=True)
        return False

    exported = stage(run.folder / "exported.json", sources, make, stands)
    return {name: value for name, value in exported.items() if name != "files"}
