"""The bench's figures, table and file on a small task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.distill.packing import MULTIPLE
from l2a_gym.envs.setup import Arguments, Setup
from l2a_gym.errors import UserError
from l2a_gym.speed import bench as speed
from l2a_gym.speed.bench import bench, table
from l2a_gym.speed.settings import Bench
from l2a_gym.speed.updates import Practice


def test_one_command_gives_a_table_and_a_file(
    tiny: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "STUDENTS", {"cpu": (1, 2)})
    where = {name: tiny[name] for name in ("task", "checkpoint", "device")}
    plan = Bench(parts=("step", "students", "peak", "episodes"), repeats=1, json=tmp_path / "figures.json", **where)
    figures = bench(plan)
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
    assert list(figures) == [
        *("env_step_ratio", "env_step_seconds", "bare_seconds", "env_step_ratio_batched"),
        *("stacked_ratio", "student_updates_per_second", "peak_share", "peak_gflops", "update_gflops"),
        *("episodes_per_hour", "machine"),
    ]
    assert list(figures["stacked_ratio"]) == ["1", "2"]
    assert 0 < figures["peak_share"] < 1
    assert figures["episodes_per_hour"] > 0
    assert capsys.readouterr().out.strip() == table(figures)


def test_the_table_has_a_row_for_each_value() -> None:
    figures = {"ratio": 1.25, "stacked": {"1": 1.0, "16": 2.5}, "machine": "a machine"}
    assert table(figures).splitlines()[2:] == [
        "| ratio | 1.25 |",
        "| stacked 1 | 1 |",
        "| stacked 16 | 2.5 |",
        "| machine | a machine |",
    ]


def test_what_is_not_valid_is_named() -> None:
    with pytest.raises(UserError, match="unknown part 'stp': did you mean 'step'"):
        Bench(parts=("stp",))
    with pytest.raises(UserError, match="repeats = 0: valid are whole numbers from 1"):
        Bench(repeats=0)


def test_students_at_a_time_and_in_turn_do_the_same_work(small: dict[str, Any]) -> None:
    setup = Setup(Arguments(**small))
    world = setup.load_world()
    practice = Practice(world, setup.distillation, setup.new_students(world, 3), updates=2)
    alone = setup.new_students(world, 1)
    losses = practice.together()
    own = practice.in_turn(alone)
    assert float(losses[0]) == pytest.approx(float(own[0]), abs=1e-6)  # the later ones find a student that has learnt
    assert len(losses) == len(own) == 3


def test_the_counted_arithmetic_is_that_of_the_models_products(small: dict[str, Any]) -> None:
    """Forward, and twice that backward: a whole layer, then the last one for first tokens alone."""
    setup = Setup(Arguments(**small))
    world = setup.load_world()
    practice = Practice(world, setup.distillation, setup.new_students(world, 1), updates=1)
    length = world.texts.tokens.length[np.concatenate([practice.rows, practice.anchors], axis=1)][0]
    n, longest, tokens = len(length), int(length.max()), -(-int(length.sum()) // MULTIPLE) * MULTIPLE
    shape = world.prepared.student().config
    width, inner, heads = shape.hidden_size, shape.intermediate_size, shape.num_attention_heads
    assert shape.num_hidden_layers == 2
    layer = tokens * (4 * width**2 + 2 * width * inner) + 2 * n * longest**2 * width
    last = n * (4 * width**2 + 2 * width * inner) + 2 * n * heads * longest * width
    classifier = n * width * (width + shape.num_labels)
    assert practice.arithmetic(setup.new_students(world, 1)) == 3 * 2 * (layer + last + classifier)
