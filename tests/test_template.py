"""The template that users begin with: it conforms, learns, and runs in the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from l2a_agents.selector import MakeEnv, Spaces

from l2a_gym.experiment.job import Job, attempt
from l2a_gym.experiment.rows import Row

TEMPLATE = Path(__file__).parents[1] / "docs" / "template"
TESTS = """
import os
import pytest

class Passed(list):
    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.append(report.nodeid)

passed = Passed()
os.chdir(folder)
pipe.send((int(pytest.main(["-q", "test_my_selector.py"], plugins=[passed])), len(passed)))
"""


def test_it_conforms_by_its_own_test_file(tmp_path: Path, begin: Callable[..., Any]) -> None:
    for file in TEMPLATE.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    _, pipe = begin(TESTS, folder=tmp_path)
    assert pipe.recv() == (0, 7)


def test_it_is_compared_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TEMPLATE)
    row, uniform = (attempt(Job("toy", name, 0, 400, 2)) for name in ("my_selector:MySelector", "uniform"))
    assert isinstance(row, Row), row
    assert isinstance(uniform, Row), uniform
    assert 400 <= row.spent <= 421
    assert row.score > uniform.score + 0.02


def test_it_finds_the_best_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TEMPLATE)
    from my_selector import MySelector

    make_env = MakeEnv("l2a_gym:L2A-Toy-v0")
    selector = MySelector(Spaces.from_env(make_env()))
    selector.train(make_env, 4 * 21, 0, lambda *_: None)
    assert selector.share == (1.0, 0.75, 0.5, 0.25)[selector.returns.index(max(selector.returns))]
