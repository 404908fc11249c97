"""The peers learn the same: one update of each from the same student on the same texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from l2a_gym.distill.distiller import Distiller
from l2a_gym.envs.setup import Arguments, Setup
from l2a_gym.speed import peers
from l2a_gym.speed.peers import PEERS, Lesson


@pytest.fixture
def lesson(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """Batches of 24 texts, each with the same share of the loss."""
    monkeypatch.setattr(peers, "CHOSEN", 20)
    values = {"learning_rate": 1e-2, "anchors": 4, "anchor_share": 4 / 24, "temperature": 2.0}
    setup = Setup(Arguments(**small, teacher="all-data", distillation=values))
    return Lesson(setup, setup.load_world())


class Few(peers.Texts):
    """The first 24 candidates alone, so that a shuffled batch has the same texts."""

    def __len__(self) -> int:
        return 24


@pytest.mark.parametrize("peer", PEERS)
def test_a_peers_update_is_ours(lesson: Lesson, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "textbrewer" in peer:
        pytest.importorskip("textbrewer", reason="the extra bench is not installed")
    students = []
    make = Lesson.student

    def kept(self: Lesson) -> Any:
        students.append(make(self))
        return students[-1]

    monkeypatch.setattr(Lesson, "student", kept)
    monkeypatch.setattr(Lesson, "items", lambda self: Few(self.world))
    PEERS[peer](lesson)(1)
    ours = Distiller(make(lesson), lesson.world.texts, lesson.config)
    ours.student.load_state_dict(make(lesson).state_dict())  # with the classifier that the peer began with
    rows = torch.arange(24)
    ours.step(rows[:20], torch.ones(20), rows[20:], 1)
    theirs = students[0].state_dict()
    for name, value in ours.student.state_dict().items():
        # Softmax takes a key's bias out, and a query's has next to no gradient while attention is flat: both are
        # rounding, which AdamW enlarges.
        if not name.endswith(("key.bias", "query.bias")):
            other = (theirs[name] - value).abs() > 1e-2 * lesson.config.learning_rate
            assert float(other.float().mean()) < 0.05, name


def test_peers_report_their_ratios(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("textbrewer", reason="the extra bench is not installed")
    monkeypatch.setattr(peers, "UPDATES", 1)
    figures = peers.peers(lesson.setup, lesson.world, repeats=1)
    assert list(figures) == ["updates_per_second", *PEERS]
    assert all(isinstance(value, float) for value in figures.values())
