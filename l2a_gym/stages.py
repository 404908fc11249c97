"""What the stages of a preparation write, each into a folder of its own, from the task and the stages before it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.generator import masked_lm_of
from l2a_gym.augment.operators import Tools, make_operators
from l2a_gym.augment.policy import apply_policy
from l2a_gym.augment.pool import draw_starts, make_pool
from l2a_gym.augment.words import WordVectors
from l2a_gym.cache import write_text
from l2a_gym.distill.distiller import Labelled
from l2a_gym.distill.encode import Tokens, encode, trim_vocabulary, used_pieces, whole_words
from l2a_gym.distill.student import GeneralDistillation, distil_generally, new_student, student_config, vocabulary_limit
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


def stages(task: Task, config: Preparation, device: torch.device) -> dict[str, Callable[[Path], None]]:
    """Name -> what fills the stage's folder, in their order; a stage reads the folders beside its own."""
    return {
        "pool": partial(_write_pool, task, config, device),
        "tokens": partial(_write_tokens, task, config),
        "base": partial(_write_base, config, device),
        "few-shot": partial(_write_few_shot, config, device),
        "all-data": partial(_write_all_data, config, device),
        "signals": partial(_write_signals, config),
        "student": partial(_write_student, task, config, device),
    }


def splits(task: Task) -> dict[str, Texts]:
    """The target's texts by split, in the order of the prepared rows."""
    return {"train": task.train, "dev": task.dev, "select": task.select, "test": task.test}


def count_all(model: torch.nn.Module) -> int:
    """Parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def _save(folder: Path, **arrays: NDArray[Any]) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def _write_pool(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    walks = folder.parent / "walks"  # an interrupted generation goes on from there
    tools = Tools(
        config.pool,
        task.max_length,
        parts=walks,
        load_vectors=partial(_word_vectors, task, config),
        load_masked_lm=partial(masked_lm_of, task, config.checkpoint, config.pool.masked_lm, config.seed, device),
    )
    pool = make_pool(task, config.pool, make_operators(tools), config.seed, config.pool.preferred())
    columns = {name: getattr(pool, name) for name in ("domain", "operator", "parent", "edit_share", "flipped")}
    pair = {} if pool.texts.pair is None else {"pair": pool.texts.pair}
    Dataset.from_dict({"text": pool.texts.text, **pair, "label": pool.texts.label, **columns}).save_to_disk(str(folder))
    shutil.rmtree(walks, ignore_errors=True)


def _word_vectors(task: Task, config: Preparation) -> WordVectors:
    row = whole_words(load_tokenizer(config.checkpoint))
    table = embedding_table(load_teacher(config.checkpoint, len(task.labels), config.seed))
    return WordVectors(list(row), table[list(row.values())].numpy())


def _write_tokens(task: Task, config: Preparation, folder: Path) -> None:
    pool = Dataset.load_from_disk(str(folder.parent / "pool"))
    candidates = Texts(
        tuple(pool["text"]), np.array(pool["label"]), tuple(pool["pair"]) if "pair" in pool.features else None
    )
    parts = {"pool": candidates, **splits(task)}
    full = load_tokenizer(config.checkpoint)
    used = np.concatenate([used_pieces(full, texts, task.max_length) for texts in parts.values()])
    size = count_all(load_teacher(config.checkpoint, len(task.labels), config.seed))
    limit = vocabulary_limit(config.student, len(task.labels), task.max_length, size)
    tokenizer, kept = trim_vocabulary(full, used, limit)
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
    _write_teacher(prepared, _given(prepared, prepared.rows["train"]), config, "few-shot", device, folder)


def _write_all_data(config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    source = np.flatnonzero(np.array(prepared.pool()["operator"]) == 0)
    if (weight := config.pool.preferred()) is not None:
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0xA11]))
        source = source[draw_starts(len(source), 1, weight[: len(source)], rng)]
    chosen = torch.from_numpy(source)
    sources, shots = (_given(prepared, prepared.rows[name]) for name in ("pool", "train"))
    train = Labelled(
        Tokens.cat([sources.tokens.take(chosen), *[shots.tokens] * SHOT_COPIES]),
        torch.cat([sources.label[chosen], *[shots.label] * SHOT_COPIES]),
    )
    _write_teacher(prepared, train, config, "all-data", device, folder)


def _given(prepared: Prepared, rows: slice) -> Labelled:
    """Texts with their labels as given: before the label policy has its say."""
    return Labelled(prepared.tokens(rows), torch.from_numpy(np.array(prepared.array("tokens/label")[rows])))


def _write_teacher(
    prepared: Prepared, train: Labelled, config: Preparation, name: str, device: torch.device, folder: Path
) -> None:
    classes = int(prepared.array("tokens/label").max()) + 1
    model = load_teacher(config.checkpoint, classes, config.seed, prepared.array("tokens/kept"))
    torch.nn.Module.to(model, device)
    dev = _given(prepared, prepared.rows["dev"]).to(device)
    tuning = config.few_shot if name == "few-shot" else config.all_data
    fine_tune(model, train.to(device), dev, tuning, seed=config.seed, name=name)
    model.save_pretrained(folder / "model", safe_serialization=True)
    _save(folder, logits=predict(model, prepared.tokens(slice(None)).to(device)).cpu().numpy())


def _write_signals(config: Preparation, folder: Path) -> None:
    """Where each candidate stands between its domain and the target, by sentence vectors; and the labels that hold.

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
    operator, edit_share = (np.array(prepared.pool()[name]) for name in ("operator", "edit_share"))
    given, logits = (prepared.array(name)[prepared.rows["pool"]] for name in ("tokens/label", "all-data/logits"))
    label, usable = apply_policy(config.pool.labels, given, logits, operator > 0)
    flipped = np.array(prepared.pool()["flipped"]) & (label == given)
    _save(folder, operator=operator, edit_share=edit_share, flipped=flipped, label=label, usable=usable)


def _cosine(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    cosine: NDArray[np.float32] = rows @ vector / (np.linalg.norm(rows, axis=1) * np.linalg.norm(vector))
    return cosine


def _write_student(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    size = count_all(teacher)
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
    counts = {"teacher": size, "student": count_all(student)}
    write_text(folder / "parameters.json", json.dumps(counts))
