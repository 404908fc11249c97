"""From ids to tasks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from l2a_gym.errors import UserError
from l2a_gym.tasks import hub, hutto
from l2a_gym.tasks.registry import FAMILIES, make_task, outline, task_ids


def test_ids_are_targets_by_sizes_by_questions() -> None:
    ids = hutto.ids()
    assert len(ids) == len(set(ids)) == 4 * (3 + 2) * 7
    some = ("nyt-64", "nyt-64-noise40", "movie-256", "nyt-128all-crowd", "amazon-64all-shift")
    assert {f"hutto/{each}" for each in some} <= set(ids)


def test_the_ids_of_every_family_are_listed_under_its_name() -> None:
    ids = task_ids()
    assert len(ids) == len({*ids})
    assert {*hutto.ids(), *hub.ids()} <= {*ids}
    assert {task_id.partition("/")[0] for task_id in ids} == {*FAMILIES}
    for task_id in ids:
        assert len(outline(task_id).domains) > 1


@pytest.mark.parametrize(
    "task_id", [name for name in hutto.ids() if name.endswith("-64") or re.match("hutto/nyt-(64all-|[^-]+$)", name)]
)
def test_every_id_builds_what_it_says(task_id: str) -> None:
    task, plan = make_task(task_id), outline(task_id)
    assert (plan.domains, plan.budget) == (task.domains, task.budget)
    target, size, *question = task_id.split("/")[1].split("-")
    labels = int(size.removesuffix("all"))
    shots, used = (labels // 2, labels) if size.endswith("all") else (labels, labels + 512 + 256)
    assert (task.id, task.target, len(task.train), task.labels_used) == (task_id, target, shots, used)
    assert bool(task.flipped) == bool(question)
    assert set(task.train.label.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("hutto/nyt-65", "hutto/nyt-64"),
        ("hutto/movies-256", "hutto/movie-256"),
        ("hutto/nyt-64-noise", "hutto/nyt-64-noise40"),
        ("hutto/nyt-128", "hutto/nyt-128all"),
        ("hub/scitail-65", "hub/scitail-64"),
        ("hub/amazon-book-64", "hub/amazon-books-64"),
    ],
)
def test_unknown_id_names_the_nearest_and_the_other_way(given: str, nearest: str) -> None:
    with pytest.raises(UserError) as caught:
        make_task(given)
    message = str(caught.value)
    assert message.startswith(f"unknown task '{given}': did you mean '{nearest}'?")
    assert "a path to a task file (*.toml)" in message


def test_path_to_a_task_file_is_an_id(tmp_path: Path) -> None:
    for name in ("near", "far"):
        lines = ["text,label", *(f"{name} {n},{n % 2}" for n in range(30))]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text('target = "near"\nshots = 4\n[domains]\nfar = "far.csv"\nnear = "near.csv"\n', encoding="utf-8")
    task = make_task(str(path))
    assert (task.id, task.domains, len(task.train)) == (str(path), ("near", "far"), 4)


def test_import_stays_light() -> None:
    code = (
        "import sys, l2a_gym.tasks.registry;"
        "print(sorted({'torch', 'transformers', 'datasets', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
