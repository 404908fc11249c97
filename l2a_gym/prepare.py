"""From a task and a configuration to everything that an episode needs, kept in a content-addressed folder.

Each stage fills one folder. A stage that stands is not done again: an interrupted preparation goes on where it was, and
a damaged file costs one stage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from l2a_gym.augment.pool import PoolConfig, make_pool
from l2a_gym.augment.words import WordVectors
from l2a_gym.cache import cache_dir, locked, sha256_of, write_folder, write_text
from l2a_gym.distill.distiller import Labelled
from l2a_gym.distill.encode import Tokens, encode, trim_vocabulary, used_pieces, whole_words
from l2a_gym.distill.student import GeneralDistillation, distil_generally, new_student, student_config
from l2a_gym.distill.teacher import (
    ALL_DATA,
    EMBEDDED,
    FEW_SHOT,
    FineTuning,
    embedding_table,
    fine_tune,
    load_teacher,
    load_tokenizer,
    predict,
    sentence_vectors,
)
from l2a_gym.prepared import Prepared
from l2a_gym.tasks.task import Task, Texts

log = logging.getLogger(__name__)

FORMAT = 3
"""Rises whenever the same configuration gives other files."""
SHOT_COPIES = 4
"""How often the shots stand among the source texts that the all-data teacher learns from."""


@dataclass(frozen=True)
class Preparation:
    """Everything besides the task that shapes what is prepared.

    Attributes:
        checkpoint: the teacher: ``embedded``, a hub id or a local folder.
        student: a preset's name.
        pool: what the candidates are made of.
        few_shot: fine-tuning of the teacher on the shots.
        all_data: fine-tuning of the teacher on the sources and the shots.
        general: general distillation of the student.
        seed: of every draw.
    """

    checkpoint: str = EMBEDDED
    student: str = "tiny"
    pool: PoolConfig = field(default_factory=PoolConfig)
    few_shot: FineTuning = FEW_SHOT
    all_data: FineTuning = ALL_DATA
    general: GeneralDistillation = field(default_factory=GeneralDistillation)
    seed: int = 0


def prepare(task: Task, config: Preparation, device: torch.device) -> Prepared:
    """Open the prepared task in the cache, after building what is missing or damaged.

    Raises:
        UserError: an asset, the checkpoint or the cache folder can't be had.
    """
    folder = cache_dir() / "prepared" / f"{_slug(task.id)}-{_key(task, config)}"
    with locked(folder):
        for stage in _damaged(folder):
            log.warning("%s is damaged: building it again", folder / stage)
            shutil.rmtree(folder / stage, ignore_errors=True)
            (folder / "manifest.json").unlink(missing_ok=True)
        if not (folder / "manifest.json").is_file():
            log.info("preparing %s in %s", task.id, folder)
            _build(folder, task, config, device)
    return Prepared(folder)


def _slug(task_id: str) -> str:
    name = Path(task_id).stem if task_id.endswith(".toml") else task_id
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _key(task: Task, config: Preparation) -> str:
    """Hash of all that shapes the folder: configuration, texts, labels, flips, and a local checkpoint's files."""
    settings = [FORMAT, task.id, task.domains, task.max_length, task.labels, asdict(config)]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for texts in (*_splits(task).values(), *task.sources.values()):
        digest.update(json.dumps([texts.text, texts.pair, texts.label.tolist()]).encode())
    for flipped in task.flipped.values():
        digest.update(flipped.tobytes())
    local = [] if config.checkpoint == EMBEDDED else sorted(Path(config.checkpoint).glob("*"))
    for file in local:
        digest.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _splits(task: Task) -> dict[str, Texts]:
    return {"train": task.train, "dev": task.dev, "select": task.select, "test": task.test}


def _damaged(folder: Path) -> list[str]:
    """Stages with a file that is not what the manifest says; a manifest that can't be read puts all in doubt."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return []
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        bad = [name for name, sha in files.items() if not (folder / name).is_file() or sha256_of(folder / name) != sha]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ["manifest.json", *sorted(path.name for path in folder.iterdir() if path.is_dir())]
    return sorted({name.split("/")[0] for name in bad})


def _build(folder: Path, task: Task, config: Preparation, device: torch.device) -> None:
    stages: dict[str, Callable[[Path], None]] = {
        "pool": partial(_write_pool, task, config),
        "tokens": partial(_write_tokens, task, config),
        "base": partial(_write_base, config, device),
        "few-shot": partial(_write_few_shot, config, device),
        "all-data": partial(_write_all_data, config, device),
        "signals": _write_signals,
        "student": partial(_write_student, task, config, device),
    }
    for left in folder.glob(".*"):  # by a process that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    for number, (name, write) in enumerate(stages.items(), start=1):
        if not (folder / name).is_dir():
            log.info("  %d/%d %s", number, len(stages), name)
            write_folder(folder / name, write)
    manifest = {
        "task": task.id,
        "domains": task.domains,
        "operators": config.pool.names,
        "labels": task.labels,
        "config": asdict(config),
        "parameters": json.loads((folder / "student" / "parameters.json").read_text(encoding="utf-8")),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        "files": {
            str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
        },
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1))


def _save(folder: Path, **arrays: NDArray[Any]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _write_pool(task: Task, config: Preparation, folder: Path) -> None:
    tokenizer = load_tokenizer(config.checkpoint)
    row = whole_words(tokenizer)
    table = embedding_table(load_teacher(config.checkpoint, len(task.labels), config.seed))
    vectors = WordVectors(list(row), table[list(row.values())].numpy())
    pool = make_pool(task, config.pool, vectors, config.seed)
    columns = {name: getattr(pool, name) for name in ("domain", "operator", "parent", "edit_share", "flipped")}
    pair = {} if pool.texts.pair is None else {"pair": pool.texts.pair}
    Dataset.from_dict({"text": pool.texts.text, **pair, "label": pool.texts.label, **columns}).save_to_disk(str(folder))


def _write_tokens(task: Task, config: Preparation, folder: Path) -> None:
    pool = Dataset.load_from_disk(str(folder.parent / "pool"))
    candidates = Texts(
        tuple(pool["text"]), np.array(pool["label"]), tuple(pool["pair"]) if "pair" in pool.features else None
    )
    parts = {"pool": candidates, **_splits(task)}
    full = load_tokenizer(config.checkpoint)
    used = np.concatenate([used_pieces(full, texts, task.max_length) for texts in parts.values()])
    tokenizer, kept = trim_vocabulary(full, used)
    tokens = Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts.values()])
    ids = tokens.ids.numpy().astype(np.uint16 if len(kept) <= 2**16 else np.uint32)
    label = np.concatenate([texts.label for texts in parts.values()])
    _save(folder, ids=ids, length=tokens.length.numpy(), first=tokens.first.numpy(), label=label, kept=kept)
    layout = {"rows": {name: len(texts) for name, texts in parts.items()}, "pad": tokens.pad}
    write_text(folder / "layout.json", json.dumps(layout))
    tokenizer.save_pretrained(folder)


def _write_base(config: Preparation, device: torch.device, folder: Path) -> None:
    """Sentence vectors of the pool, train and dev by the teacher before any fine-tuning, so that they know no label."""
    prepared = Prepared(folder.parent)
    model = load_teacher(config.checkpoint, 2, config.seed, prepared.array("tokens/kept"))
    torch.nn.Module.to(model, device)
    vectors = sentence_vectors(model, prepared.tokens(slice(0, prepared.rows["dev"].stop)).to(device))
    _save(folder, vectors=vectors.cpu().numpy().astype(np.float16))


def _write_few_shot(config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    train = prepared.labelled(prepared.rows["train"]).to(device)
    _write_teacher(prepared, train, config, "few-shot", device, folder)


def _write_all_data(config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    source = torch.from_numpy(np.flatnonzero(np.array(prepared.pool()["operator"]) == 0))
    sources, shots = (prepared.labelled(prepared.rows[name]) for name in ("pool", "train"))
    train = Labelled(
        Tokens.cat([sources.tokens.take(source), *[shots.tokens] * SHOT_COPIES]),
        torch.cat([sources.label[source], *[shots.label] * SHOT_COPIES]),
    )
    _write_teacher(prepared, train.to(device), config, "all-data", device, folder)


def _write_teacher(
    prepared: Prepared, train: Labelled, config: Preparation, name: str, device: torch.device, folder: Path
) -> None:
    classes = int(prepared.array("tokens/label").max()) + 1
    model = load_teacher(config.checkpoint, classes, config.seed, prepared.array("tokens/kept"))
    torch.nn.Module.to(model, device)
    dev = prepared.labelled(prepared.rows["dev"]).to(device)
    tuning = config.few_shot if name == "few-shot" else config.all_data
    fine_tune(model, train, dev, tuning, seed=config.seed, name=name)
    model.save_pretrained(folder / "model", safe_serialization=True)
    _save(folder, logits=predict(model, prepared.tokens(slice(None)).to(device)).cpu().numpy())


def _write_signals(folder: Path) -> None:
    """Where each candidate stands between its domain and the target, by sentence vectors.

    Of the target, the texts of train and dev are looked at, without their labels.
    """
    prepared = Prepared(folder.parent)
    vectors = prepared.array("base/vectors").astype(np.float32)
    pool = vectors[prepared.rows["pool"]]
    target = np.concatenate([vectors[prepared.rows["train"]], vectors[prepared.rows["dev"]]])
    domain = np.array(prepared.pool()["domain"])
    centre = pool.mean(0)
    similarity = _cosine(pool - centre, target.mean(0) - centre)
    sources = pool[domain != 0]
    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    classifier.fit(np.concatenate([target, sources]), np.arange(len(target) + len(sources)) < len(target))
    centroids = [target.mean(0), *(pool[domain == d].mean(0) for d in range(1, int(domain.max()) + 1))]
    distance = np.array([1 - _cosine(centroid[None], centroids[0])[0] for centroid in centroids])
    _save(folder, similarity=similarity, log_odds=classifier.decision_function(pool), distance=distance, domain=domain)
    _save(folder, operator=np.array(prepared.pool()["operator"]), edit_share=np.array(prepared.pool()["edit_share"]))
    _save(folder, flipped=np.array(prepared.pool()["flipped"]))


def _cosine(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    cosine: NDArray[np.float32] = rows @ vector / (np.linalg.norm(rows, axis=1) * np.linalg.norm(vector))
    return cosine


def _write_student(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    size = sum(parameter.numel() for parameter in teacher.parameters())
    embeddings = embedding_table(teacher)[torch.from_numpy(prepared.array("tokens/kept").copy())]
    shape = student_config(
        config.student, len(embeddings), len(task.labels), task.max_length, size, prepared.tokens(slice(1)).pad
    )
    shape.id2label = dict(enumerate(task.labels))
    shape.label2id = {label: code for code, label in enumerate(task.labels)}
    student = new_student(shape, embeddings, config.seed)
    seen = slice(0, prepared.rows["train"].stop)
    vectors = torch.from_numpy(prepared.array("base/vectors")[seen].astype(np.float32)).to(device)
    distil_generally(student, prepared.tokens(seen).to(device), vectors, config.general, config.seed)
    student.cpu().save_pretrained(folder, safe_serialization=True)
    counts = {"teacher": size, "student": sum(parameter.numel() for parameter in student.parameters())}
    write_text(folder / "parameters.json", json.dumps(counts))
