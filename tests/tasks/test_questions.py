"""The questions of the embedded default: what each does to the sources of a target, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from l2a_gym.tasks import hutto
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task

QUESTIONS = ("noise40", "asym60", "inverted", "shift", "crowd", "mixed")


def wrong_shares(task: Task) -> dict[str, float]:
    """The share of labels that are not the sign of the text's mean rating, in each source; and that it is recorded."""
    shares = {}
    for name, texts in task.sources.items():
        mean = {row.text: row.mean for row in reversed(hutto._rows(name))}
        wrong = [(mean[text] > 0) != (code == 1) for text, code in zip(texts.text, texts.label, strict=True)]
        assert task.flipped.get(name, np.zeros(len(texts), dtype=np.bool_)).tolist() == wrong
        shares[name] = float(np.mean(wrong))
    return shares


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_leaves_the_target_alone_and_records_each_wrong_label(question: str) -> None:
    clean, task = make_task("hutto/nyt-64"), make_task(f"hutto/nyt-64-{question}")
    assert (task.domains, task.labels) == (clean.domains, clean.labels)
    for part in ("train", "dev", "select", "test"):
        assert getattr(task, part).text == getattr(clean, part).text
        assert getattr(task, part).label.tolist() == getattr(clean, part).label.tolist()
    wrong_shares(task)
    if question != "crowd":
        assert all(set(task.sources[name].text) <= set(clean.sources[name].text) for name in clean.sources)


def test_asym60_calls_three_fifths_of_the_negatives_positive() -> None:
    clean, task = make_task("hutto/nyt-64"), make_task("hutto/nyt-64-asym60")
    for name, texts in task.sources.items():
        negative = clean.sources[name].label == 0
        assert task.flipped[name].sum() == round(0.6 * negative.sum())
        assert not task.flipped[name][~negative].any()
        assert (texts.label[task.flipped[name]] == 1).all()


@pytest.mark.parametrize("target", hutto.DOMAINS)
def test_inverted_turns_the_largest_source_around(target: str) -> None:
    task = make_task(f"hutto/{target}-64-inverted")
    sizes = {name: len(texts) for name, texts in make_task(f"hutto/{target}-64").sources.items()}
    assert wrong_shares(task) == {name: float(size == max(sizes.values())) for name, size in sizes.items()}


def test_shift_makes_92_percent_positive_by_right_labels() -> None:
    task = make_task("hutto/nyt-64-shift")
    for texts in task.sources.values():
        assert texts.label.mean() == pytest.approx(0.92, abs=0.5 / len(texts))
    assert set(wrong_shares(task).values()) == {0.0}


def test_crowd_has_ambiguous_texts_and_the_errors_of_single_raters() -> None:
    clean, task = make_task("hutto/nyt-64"), make_task("hutto/nyt-64-crowd")
    for name, share in wrong_shares(task).items():
        rows = {row.text: row for row in reversed(hutto._rows(name))}
        texts = task.sources[name]
        given = [(rows[text], 2 * code - 1) for text, code in zip(texts.text, texts.label, strict=True)]
        assert all(row.mean and code in np.sign(row.ratings) for row, code in given)
        ambiguous = [abs(row.mean) <= 0.5 for row, _ in given]
        assert 0.03 < np.mean(ambiguous) < 0.12
        assert 0.03 < share < 0.07
        assert task.flipped[name][ambiguous].mean() > 0.2 > 0.05 > task.flipped[name][~np.array(ambiguous)].mean()
        assert not set(texts.text) <= set(clean.sources[name].text)


def test_mixed_has_another_trouble_in_each_source() -> None:
    task = make_task("hutto/nyt-64-mixed")
    shares = wrong_shares(task)
    assert (shares["movie"], shares["amazon"]) == (0.4, 1.0)
    asym = make_task("hutto/nyt-64-asym60").sources["tweets"]
    assert task.sources["tweets"].label.tolist() == asym.label.tolist()
