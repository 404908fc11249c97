"""What the stages of a preparation write, each into a folder of its own, from the task and the stages before it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from l2a_gym.augment import generator
from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.nearness import nearness
from l2a_gym.augment.operators import Tools, make_operators
from l2a_gym.augment.policy import apply_policy
from l2a_gym.augment.pool import draw_starts, make_pool
from l2a_gym.augment.words import WordVectors
from l2a_gym.cache import sha256_of, write_text
from l2a_gym.distill.checkpoint import EMBEDDED, load_teacher, load_tokenizer, local_files
from l2a_gym.distill.encode import Tokens, count_pieces, encode, trim_vocabulary, whole_words
from l2a_gym.distill.finetune import ALL_DATA, FEW_SHOT, FineTuning, WithVectors, make_teacher
from l2a_gym.distill.student import (
    GeneralDistillation,
    careful,
    distil_generally,
    shape_student,
    start_student,
    vocabulary_limit,
)
from l2a_gym.distill.teacher import (
    embedding_table,
    predict,
    sentence_vectors,
    vectors_of_sides,
)
from l2a_gym.preparation.store import TEACHERS, Prepared, read_candidates, read_teacher
from l2a_gym.preparation.texts import fingerprint, fingerprint_of_texts, own_texts, splits
from l2a_gym.tasks.task import Task, Texts

FORMAT = 6
"""Rises whenever the same configuration gives other files."""
TARGET_PIECES = 10
"""How often a piece of train and dev counts against one of the pool, where a student has no room for all."""
SHOT_COPIES = 4
"""How often the shots stand among the source texts that the all-data teacher learns from."""
LEARNT = 2**15
"""Source texts, at most, that the all-data teacher learns from."""
HEADS = "heads on mean vectors"
"""Changes whenever the same settings make other teachers."""


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


@dataclass(frozen=True)
class Stage:
    """A part of a preparation.

    Attributes:
        write: fills the stage's folder; it reads the folders of other stages beside it.
        key: hash of everything that shapes its files.
    """

    write: Callable[[Path], None]
    key: str


def stages(task: Task, config: Preparation, device: torch.device) -> dict[str, Stage]:
    """Name -> stage, in their order.

    The teachers know neither pool nor student, and the pool no student: preparations that differ there share them. So
    do tasks that differ in the labels of sources alone, as a clean one and its noisy twin, what knows none of these.
    """
    how = [config.checkpoint, local_files(config.checkpoint), config.seed]
    asked, texts = [fingerprint(task), *how], [fingerprint_of_texts(task), *how]
    shots = [texts, len(task.labels), task.train.label.tolist(), task.dev.label.tolist()]
    preference = config.pool.preference and sha256_of(Path(config.pool.preference))
    pool = [asked, generator.FORMAT, asdict(config.pool) | {"preference": preference}]
    tokens = [pool, config.student, "pieces of the texts that may be seen, the target's first"]
    few_shot = [shots, asdict(config.few_shot), HEADS]
    all_data = [asked, asdict(config.all_data), preference, HEADS]
    answers = [pool, few_shot, all_data]
    signals = [answers, "by sources as they are, up to FITTED"]
    return {
        "pool": Stage(partial(_write_pool, task, config, device), _key("pool", pool)),
        "tokens": Stage(partial(_write_tokens, task, config), _key("tokens", tokens)),
        "base": Stage(partial(_write_base, task, config, device), _key("base", [texts, "both sides of pairs"])),
        "few-shot": Stage(partial(_write_few_shot, task, config, device), _key("few-shot", few_shot)),
        "all-data": Stage(partial(_write_all_data, task, config, device), _key("all-data", all_data)),
        "answers": Stage(partial(_write_answers, task, config, device), _key("answers", answers)),
        "signals": Stage(partial(_write_signals, config), _key("signals", signals)),
        "student": Stage(
            partial(_write_student, task, config, device), _key("student", [tokens, answers, asdict(config.general)])
        ),
    }


def _key(name: str, settings: Any) -> str:
    return hashlib.sha256(json.dumps([FORMAT, name, settings], sort_keys=True).encode()).hexdigest()[:16]


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
        load_masked_lm=partial(
            generator.masked_lm_of, task, config.checkpoint, config.pool.masked_lm, config.seed, device
        ),
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
    """All texts in the pieces of those that may be seen: what others alone have is cut into smaller ones."""
    parts = {"pool": read_candidates(folder.parent / "pool"), **splits(task)}
    full = load_tokenizer(config.checkpoint)
    count = seen_pieces(full, parts, task.max_length)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    limit = vocabulary_limit(config.student, teacher, len(task.labels), task.max_length)
    tokenizer, kept = trim_vocabulary(full, count, limit)
    tokens = Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts.values()])
    ids = tokens.ids.numpy().astype(np.uint16 if len(kept) <= 2**16 else np.uint32)
    label = np.concatenate([texts.label for texts in parts.values()])
    _save(folder, ids=ids, length=tokens.length.numpy(), first=tokens.first.numpy(), label=label, kept=kept)
    layout = {"rows": {name: len(texts) for name, texts in parts.items()}, "pad": tokens.pad}
    write_text(folder / "layout.json", json.dumps(layout))
    tokenizer.save_pretrained(folder)


def seen_pieces(tokenizer: PreTrainedTokenizerFast, parts: Mapping[str, Texts], max_length: int) -> NDArray[np.int64]:
    """How often pool, train and dev use each id (V,); what the target uses counts :data:`TARGET_PIECES` times."""
    weight = {"pool": 1, "train": TARGET_PIECES, "dev": TARGET_PIECES}
    count: NDArray[np.int64] = np.sum(
        [times * count_pieces(tokenizer, parts[name], max_length) for name, times in weight.items()], axis=0
    )
    return count


def _write_base(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """Sentence vectors of the task's own texts by the teacher before any fine-tuning, so that they know no label."""
    seen = [*task.sources.values(), task.train, task.dev]
    model, tokens = _untuned(config, device), _encode(task, config, seen).to(device)
    _save(folder, vectors=sentence_vectors(model, tokens).numpy())
    if tokens.pairs:
        _save(folder, sides=vectors_of_sides(model, tokens).numpy())


def _of_sides(base: Path) -> NDArray[np.float16]:
    """Vectors (n, S, H) of the stage ``base``: of both sides of pairs, else of the text alone."""
    if (base / "sides.npy").is_file():
        return np.load(base / "sides.npy", mmap_mode="r", allow_pickle=False)
    return np.load(base / "vectors.npy", mmap_mode="r", allow_pickle=False)[:, None]


def _untuned(config: Preparation, device: torch.device) -> PreTrainedModel:
    return torch.nn.Module.to(load_teacher(config.checkpoint, 2, config.seed), device)


def _encode(task: Task, config: Preparation, parts: list[Texts]) -> Tokens:
    """What a teacher reads: the pieces of its whole vocabulary, also where a student knows fewer."""
    tokenizer = load_tokenizer(config.checkpoint)
    return Tokens.cat([encode(tokenizer, texts, task.max_length) for texts in parts])


def _write_few_shot(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    _write_teacher(task, config, _shots(task), device, folder, "few-shot", config.few_shot)


def _write_all_data(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    shots = _shots(task)
    sources = np.arange(shots[0])
    if (weight := config.pool.preferred()) is not None:
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0xA11]))
        sources = draw_starts(len(sources), 1, weight[: len(sources)], rng)
    spread = np.linspace(0, len(sources) - 1, min(LEARNT, len(sources))).round().astype(np.int64)
    rows = np.concatenate([sources[spread], np.tile(shots, SHOT_COPIES)])
    _write_teacher(task, config, rows, device, folder, "all-data", config.all_data)


def _shots(task: Task) -> NDArray[np.int64]:
    """The rows of the shots among the task's own texts."""
    return np.arange(len(task.train)) + sum(map(len, task.sources.values()))


def _write_teacher(
    task: Task,
    config: Preparation,
    train: NDArray[np.int64],
    device: torch.device,
    folder: Path,
    name: str,
    tuning: FineTuning,
) -> None:
    """A teacher by the given labels of some rows of the task's own texts, and its logits on all of them."""
    own = own_texts(task)
    tokens = _encode(task, config, own).to(device)
    label = torch.from_numpy(np.concatenate([texts.label for texts in own])).to(device)
    vectors = _of_sides(folder.parent / "base")

    def with_vectors(rows: NDArray[np.int64]) -> WithVectors:
        index = torch.from_numpy(rows).to(device)
        return WithVectors(tokens.take(index), label[index], torch.from_numpy(vectors[rows]).to(device))

    model = torch.nn.Module.to(load_teacher(config.checkpoint, len(task.labels), config.seed), device)
    dev = np.arange(len(vectors) - len(task.dev), len(vectors))
    teacher = make_teacher(model, with_vectors(train), with_vectors(dev), tuning, seed=config.seed, name=name)
    teacher.save_pretrained(folder / "model", safe_serialization=True)
    _save(folder, logits=predict(teacher, tokens).cpu().numpy())


def _write_answers(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """What the teachers say of all prepared rows: of the task's own texts it is known, only made ones are asked for."""
    stage, sources = folder.parent, sum(map(len, task.sources.values()))
    candidates = read_candidates(stage / "pool")
    made = candidates.take(np.arange(sources, len(candidates)))

    def add(known: str, ask: Callable[[Tokens], NDArray[Any]]) -> NDArray[Any]:
        own = np.load(stage / f"{known}.npy", mmap_mode="r", allow_pickle=False)
        new = [ask(_encode(task, config, [made]).to(device))] if len(made) else []
        return np.concatenate([own[:sources], *new, own[sources:]])

    def logits(name: str, tokens: Tokens) -> NDArray[np.float32]:
        return predict(torch.nn.Module.to(read_teacher(stage / name), device), tokens).cpu().numpy()

    _save(
        folder,
        vectors=add("base/vectors", lambda tokens: sentence_vectors(_untuned(config, device), tokens).numpy()),
        **{name: add(f"{name}/logits", partial(logits, name)) for name in TEACHERS},
    )


def _write_signals(config: Preparation, folder: Path) -> None:
    """Where each candidate stands between its domain and the target, and the labels that hold.

    Of the target, the texts of train and dev are looked at, without their labels.
    """
    prepared = Prepared(folder.parent)
    pool = prepared.pool()
    domain, operator, edit_share, flipped = (
        np.array(pool[name]) for name in ("domain", "operator", "edit_share", "flipped")
    )
    vectors = prepared.array("answers/vectors")
    target = np.concatenate([vectors[prepared.rows[name]] for name in ("train", "dev")]).astype(np.float32)
    _save(folder, **nearness(vectors[prepared.rows["pool"]], target, domain, operator))
    given, logits = (prepared.array(name)[prepared.rows["pool"]] for name in ("tokens/label", "answers/all-data"))
    label, usable = apply_policy(config.pool.labels, given, logits, operator > 0)
    flipped &= label == given
    _save(folder, domain=domain, operator=operator, edit_share=edit_share, flipped=flipped, label=label, usable=usable)


def _write_student(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    prepared = Prepared(folder.parent)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    size, kept = teacher.num_parameters(), prepared.array("tokens/kept")
    seen = slice(0, prepared.rows["train"].stop)
    tokens = prepared.tokens(seen)
    shape = shape_student(config.student, teacher, len(kept), len(task.labels), task.max_length, tokens.pad)
    shape.id2label = dict(enumerate(task.labels))
    shape.label2id = {label: code for code, label in enumerate(task.labels)}
    student = start_student(shape, teacher, kept, tokens, config.seed)
    vectors = torch.from_numpy(np.array(prepared.array("answers/vectors")[seen]))
    general = replace(config.general, learning_rate=careful(config.student, config.general.learning_rate))
    distil_generally(student, tokens.to(device), vectors, general, config.seed)
    student.cpu().save_pretrained(folder, safe_serialization=True)
    counts = {"teacher": size, "student": student.num_parameters()}
    write_text(folder / "parameters.json", json.dumps(counts))
