"""A run whose preparation stands opens its task once: one reading of texts, files and prepared folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

import pytest

from l2a_gym import cache
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import train
from l2a_gym.preparation import open_task
from l2a_gym.preparation.store import Prepared


@pytest.fixture(scope="module")
def prepared(tiny: dict[str, Any]) -> Prepared:
    return DistillAugEnv(**tiny).world.prepared


@pytest.mark.parametrize("export_student", ["tiny", "ratio"])
def test_a_run_opens_its_task_once(
    tiny: dict[str, Any], prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export_student: Any
) -> None:
    calls: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        call: Callable[..., Any] = getattr(owner, name)

        @wraps(call)
        def count(*arguments: Any, **options: Any) -> Any:
            calls[f"{owner.__name__}.{name}"] += 1
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, count)

    counted(open_task, "make_task")
    counted(open_task, "prepare")
    counted(DistillAugEnv, "__init__")
    counted(DistillAugVectorEnv, "__init__")
    files: Counter[str] = Counter()
    digest = cache._sha256.__wrapped__

    @lru_cache(maxsize=4096)
    def hash_and_count(path: Path, stands: tuple[int, ...]) -> str:
        files[str(path)] += 1
        return str(digest(path, stands))

    monkeypatch.setattr(cache, "_sha256", hash_and_count)
    settings = {"budget": 26, "students": 1, "export_steps": 2, "export_student": export_student}
    train(Run(algo="pgpe", **tiny, **settings, out=tmp_path / "run"))
    other = export_student != "tiny"
    assert calls["l2a_gym.preparation.open_task.make_task"] == 1
    assert calls["l2a_gym.preparation.open_task.prepare"] == 1 + other
    # one for final students, one to train in, one of the mode trust, the one whose students trust their teacher, and
    # the exported student's
    assert calls["DistillAugEnv.__init__"] + calls["DistillAugVectorEnv.__init__"] <= 5
    assert files
    assert {name: count for name, count in files.items() if count > 1} == {}
