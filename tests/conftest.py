"""A task so small that preparing it takes seconds: made-up reviews, and a random BERT that knows their words."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from transformers import BertConfig, BertModel, BertTokenizerFast

from l2a_gym import cli
from l2a_gym.cache import cache_dir

torch.set_num_threads(1)  # processes whose threads wait for each other's cores take far more than their share
os.environ["OMP_NUM_THREADS"] = "1"  # the same for processes that tests start

Call = Callable[..., tuple[int | None, str, str]]
Begin = Callable[..., tuple[BaseProcess, Connection]]

GOOD = ["good", "great", "fine", "lovely", "warm", "bright", "clever"]
BAD = ["bad", "poor", "dull", "awful", "cold", "grim", "stupid"]
SHOTS = {
    "task": "shots = 16",
    "unlabelled": "shots = 16\nunlabelled = 'more.csv'",
    "budget": "labels_total = 64",
}
"""Task file -> what it says of the target."""
THINGS = ["film", "book", "song", "phone", "meal", "game", "story", "town", "camera", "room"]


def reviews(rng: np.random.Generator, n: int) -> list[tuple[str, str]]:
    """Different sentences with a plain label."""
    rows = set()
    while len(rows) < n:
        word, label = (rng.choice(GOOD), "positive") if rng.random() < 0.5 else (rng.choice(BAD), "negative")
        rows.add((f"the {rng.choice(THINGS)} and the {rng.choice(THINGS)} of {rng.integers(50)} was {word}", label))
    return sorted(rows)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(common: Path) -> Iterator[None]:
    """A cache of the tests' own, with the downloads of the user's: what tests prepare is gone with them."""
    folder, assets = common / "l2a-cache", cache_dir() / "assets"
    with FileLock(common / "cache.lock"):
        folder.mkdir(exist_ok=True)
        assets.mkdir(exist_ok=True)
        if not (folder / "assets").is_symlink():
            (folder / "assets").symlink_to(assets, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2A_CACHE", str(folder))
        yield


@pytest.fixture(scope="session")
def forks() -> BaseContext:
    """Begins processes as forks of one that has imported others' packages, which take seconds, and nothing of ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datasets", "sklearn.linear_model", "transformers.models.bert.modeling_bert"])
    return context


@pytest.fixture(scope="session")
def begin(forks: BaseContext) -> Begin:
    """Begins a fork that runs code, which finds these names and ``pipe``; gives it and the other end of its pipe."""

    def start(code: str, **names: Any) -> tuple[BaseProcess, Connection]:
        here, there = forks.Pipe()
        process = forks.Process(target=exec, args=(code, {**names, "pipe": there}))  # type: ignore[attr-defined]
        process.start()
        there.close()
        return process, here

    return start


@pytest.fixture(scope="session")
def small(common: Path) -> dict[str, Any]:
    """Arguments of ``DistillAugEnv`` for a task of three made-up domains with flipped labels and a random teacher."""
    folder = common / "small"
    with FileLock(common / "small.lock"):
        if not folder.exists():
            _small_task(folder)
    return {
        "task": str(folder / "task.toml"),
        "checkpoint": str(folder / "teacher"),
        "device": "cpu",
        "general_updates": 100,
    }


@pytest.fixture(scope="session")
def tiny(common: Path, small: dict[str, Any]) -> dict[str, Any]:
    """The same arguments for a task of the same kind with fewer texts, and with episodes of one update."""
    folder = common / "tiny"
    with FileLock(common / "tiny.lock"):
        if not folder.exists():
            _write_more(folder, _write_texts(folder, films=80, books=40, songs=30))
            for name in ("task", "unlabelled"):
                _write_task(folder / f"{name}.toml", SHOTS[name], "steps = 1\ncandidates = 8\nupdates = 1")
    return {**small, "task": str(folder / "task.toml"), "general_updates": 20}


@pytest.fixture(scope="session")
def unlabelled(small: dict[str, Any]) -> dict[str, Any]:
    """The same arguments for the same task with texts of the target that have no label."""
    return {**small, "task": str(Path(small["task"]).with_name("unlabelled.toml"))}


@pytest.fixture(scope="session")
def budgeted(small: dict[str, Any]) -> dict[str, Any]:
    """The same arguments for a task of the same data with a budget of labels."""
    return {**small, "task": str(Path(small["task"]).with_name("budget.toml"))}


def _small_task(folder: Path) -> None:
    _write_more(folder, _write_texts(folder, films=160, books=80, songs=60))
    for name, keys in SHOTS.items():
        _write_task(folder / f"{name}.toml", keys, "steps = 4\ncandidates = 24\nupdates = 2")
    _random_checkpoint(folder / "teacher")


def _write_texts(folder: Path, **sizes: int) -> np.random.Generator:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in sizes.items():
        lines = ["text,label", *(f"{text},{label}" for text, label in reviews(rng, n))]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return rng


def _write_more(folder: Path, rng: np.random.Generator) -> None:
    """Texts without labels."""
    more = [text.replace("the", "a", 1) for text, _ in reviews(rng, 60)]
    (folder / "more.csv").write_text("\n".join(["text", *more]), encoding="utf-8")


def _write_task(file: Path, keys: str, budget: str) -> None:
    file.write_text(
        f'target = "films"\n{keys}\nlabels = ["negative", "positive"]\nnoise = 0.4\nmax_length = 16\n'
        '[domains]\nfilms = "films.csv"\nbooks = "books.csv"\nsongs = "songs.csv"\n'
        f"[budget]\n{budget}\n",
        encoding="utf-8",
    )


def _random_checkpoint(folder: Path) -> None:
    words = [*GOOD, *BAD, *THINGS, "the", "and", "of", "was"]
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters), *words]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
        BertModel(BertConfig(vocab_size=len(pieces), max_position_embeddings=32, **shape)).save_pretrained(folder)


@pytest.fixture
def l2a(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process, whose environment stays; gives its exit code, output and errors."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, value in cli.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def call(*words: str, **options: object) -> tuple[int | None, str, str]:
        flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr(sys, "argv", ["l2a", *words, *flags])
        code: Any = None
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a processor without fast bfloat16, so that formulas can be compared closely."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
