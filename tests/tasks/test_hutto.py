"""The embedded default: its counts, and what its tasks share."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest

from l2a_gym.tasks import hutto
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts


def normal(texts: Texts) -> set[str]:
    return {" ".join(text.casefold().split()) for text in texts.text}


def splits_of(task: Task) -> dict[str, Texts]:
    return {"train": task.train, "dev": task.dev, "select": task.select, "test": task.test}


def test_clear_ratings_of_each_domain() -> None:
    domains = hutto._domains()
    sizes = {name: len(texts) for name, texts in domains.items()}
    assert sizes == {"nyt": 2788, "tweets": 3362, "amazon": 2943, "movie": 10043}
    for texts in domains.values():
        assert set(texts.label.tolist()) == {0, 1}
        assert all(text.strip() == text != "" for text in texts.text)


def test_texts_are_clean_and_labels_are_the_right_way_round() -> None:
    whole = [
        (text, label)
        for texts in hutto._domains().values()
        for text, label in zip(texts.text, texts.label, strict=True)
    ]
    assert not [text for text, _ in whole if re.search(r"&(amp|lt|gt|quot|nbsp|#\d+);", text)]
    for word, positive in {"terrible": False, "awful": False, "wonderful": True, "excellent": True}.items():
        labels = [label for text, label in whole if word in text.casefold().split()]
        assert len(labels) > 10
        assert (np.mean(labels) > 0.7) if positive else (np.mean(labels) < 0.3)


@pytest.mark.parametrize(
    ("target", "size", "sources"),
    [
        ("nyt", 2751, {"tweets": 3302, "amazon": 2934, "movie": 4000}),
        ("tweets", 3302, {"nyt": 2751, "amazon": 2934, "movie": 4000}),
        ("amazon", 2935, {"nyt": 2750, "tweets": 3302, "movie": 4000}),
        ("movie", 10041, {"nyt": 2751, "tweets": 3302, "amazon": 2933}),
    ],
)
def test_sizes_after_deduplication(target: str, size: int, sources: dict[str, int]) -> None:
    task = make_task(f"hutto/{target}-64")
    assert {name: len(split) for name, split in splits_of(task).items()} == {
        "train": 64,
        "dev": 512,
        "select": 256,
        "test": size - 512 - 2 * 256,
    }
    assert {name: len(texts) for name, texts in task.sources.items()} == sources
    assert (task.target, task.labels, task.max_length) == (target, ("negative", "positive"), 48)


@pytest.mark.parametrize("target", ["nyt", "tweets", "amazon", "movie"])
def test_no_text_stands_twice(target: str) -> None:
    task = make_task(f"hutto/{target}-256-noise40")
    parts = [*splits_of(task).values(), *task.sources.values()]
    assert len(set.union(*(normal(part) for part in parts))) == sum(len(part) for part in parts)


@pytest.mark.parametrize("target", ["nyt", "movie"])
def test_shots_and_noise_share_everything_else(target: str) -> None:
    tasks = {shots: make_task(f"hutto/{target}-{shots}") for shots in (16, 64, 256)}
    noisy = make_task(f"hutto/{target}-64-noise40")
    for split in ("dev", "select", "test"):
        texts = {getattr(task, split).text for task in (*tasks.values(), noisy)}
        assert len(texts) == 1
    assert {shots: len(task.train) for shots, task in tasks.items()} == {16: 16, 64: 64, 256: 256}
    assert set(tasks[16].train.text) < set(tasks[64].train.text) < set(tasks[256].train.text)
    assert tasks[64].train.text == noisy.train.text
    assert tasks[64].train.label.tolist() == noisy.train.label.tolist()


def test_noise40_flips_two_fifths_of_each_source_and_nothing_else() -> None:
    clean, noisy = make_task("hutto/nyt-64"), make_task("hutto/nyt-64-noise40")
    assert (dict(clean.flipped), noisy.domains) == ({}, clean.domains)
    for name, texts in noisy.sources.items():
        assert texts.text == clean.sources[name].text
        wrong = texts.label != clean.sources[name].label
        assert noisy.flipped[name].tolist() == wrong.tolist()
        assert wrong.sum() == round(0.4 * len(texts))


def test_clean_labels_are_the_ratings() -> None:
    domains, task = hutto._domains(), make_task("hutto/amazon-16")
    for name, texts in {"amazon": task.train, **task.sources}.items():
        given = dict(zip(domains[name].text, domains[name].label.tolist(), strict=True))
        assert [given[text] for text in texts.text] == texts.label.tolist()


def digest_of(task: Task) -> str:
    """Of every text in its place, every label and every flip."""
    parts = {**splits_of(task), **task.sources}
    rows = {name: [texts.text, texts.label.tolist()] for name, texts in parts.items()}
    flips = {name: flipped.tolist() for name, flipped in task.flipped.items()}
    return hashlib.sha256(json.dumps([rows, flips]).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("task_id", "digest"),
    [
        ("hutto/nyt-16", "2dbe8246d4bc79c3"),
        ("hutto/nyt-64-noise40", "08c14b41baafeea9"),
        ("hutto/amazon-64-noise40", "af42928a702af441"),
        ("hutto/tweets-64-noise40", "78efd34c267aa291"),
        ("hutto/movie-64-noise40", "6245f9303d784f12"),
        ("hutto/movie-256", "1d03f488118c3df3"),
        ("hutto/nyt-64-asym60", "ce206823adeda3fb"),
        ("hutto/tweets-64-inverted", "f96eef31d5d1154b"),
        ("hutto/amazon-64-shift", "89c982816305c592"),
        ("hutto/movie-64-crowd", "5e3a563623721343"),
        ("hutto/nyt-64-mixed", "99e03228072fa2ef"),
    ],
)
def test_an_id_stands_for_the_same_texts_for_ever(task_id: str, digest: str) -> None:
    """Rows of benchmarks are replayed on them; where this fails, mend the change and not the digest."""
    assert digest_of(make_task(task_id)) == digest
