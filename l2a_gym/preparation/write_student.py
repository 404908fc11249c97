"""The stages ``signals`` and ``student``: where candidates stand, and where every episode starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from l2a_gym.augment.mixed import mixed_texts
from l2a_gym.augment.nearness import nearness
from l2a_gym.augment.policy import apply_policy
from l2a_gym.cache import write_text
from l2a_gym.distill.checkpoint import load_teacher
from l2a_gym.distill.confident import suspected, thresholds
from l2a_gym.distill.encode import Tokens, encode, whole_words
from l2a_gym.distill.student import distil_generally, scaled_rate, shape_student, start_student
from l2a_gym.distill.teacher import sentence_vectors
from l2a_gym.distill.towers import two_towers
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import OUT_OF_FOLD, Prepared, read_candidates
from l2a_gym.preparation.texts import save_arrays
from l2a_gym.preparation.write_teachers import encode_whole, untuned
from l2a_gym.tasks.task import Task


def write_signals(config: Preparation, folder: Path) -> None:
    """Where each candidate stands between its domain and the target, the labels that hold, and which are suspected.

    Of the target, the texts of train and dev are looked at, without their labels, and those that have none.
    """
    prepared = Prepared(folder.parent)
    pool = prepared.pool()
    domain, operator, edit_share, flipped = (
        np.array(pool[name][:]) for name in ("domain", "operator", "edit_share", "flipped")
    )
    vectors = prepared.array("answers/vectors")
    candidates = vectors[prepared.rows["pool"]]
    known = [vectors[prepared.rows[name]] for name in ("train", "dev")]
    target = np.concatenate([*known, candidates[np.array(pool["label"][:]) < 0]]).astype(np.float32)
    save_arrays(folder, **nearness(candidates, target, domain, operator))
    given, logits = (prepared.array(name)[prepared.rows["pool"]] for name in ("tokens/label", "answers/all-data"))
    label, usable = apply_policy(config.pool.labels, given, logits, operator > 0)
    flipped &= label == given
    probability = prepared.logits(OUT_OF_FOLD, prepared.rows["pool"]).softmax(1).numpy()
    sources = operator == 0
    doubted = suspected(probability, label, thresholds(probability[sources], label[sources]))
    save_arrays(
        folder,
        domain=domain,
        operator=operator,
        edit_share=edit_share,
        flipped=flipped,
        suspected=doubted,
        label=label,
        usable=usable,
    )


def write_student(task: Task, config: Preparation, device: torch.device, folder: Path) -> None:
    """The student's start weights, after general distillation."""
    prepared = Prepared(folder.parent)
    teacher = load_teacher(config.checkpoint, len(task.labels), config.seed)
    size, kept = teacher.num_parameters(), prepared.array("tokens/kept")
    tokens, vectors = general_texts(task, config, device, prepared)
    shape = shape_student(config.student, teacher, len(kept), len(task.labels), task.max_length, tokens.pad)
    shape.id2label = dict(enumerate(task.labels))
    shape.label2id = {label: code for code, label in enumerate(task.labels)}
    student = start_student(shape, teacher, kept, tokens, config.seed)
    if task.train.pair is not None:
        student = two_towers(student)
    general = replace(config.general, learning_rate=scaled_rate(config.student, config.general.learning_rate))
    distil_generally(student, tokens.to(device), vectors, general, config.seed)
    student.cpu().save_pretrained(folder, safe_serialization=True)
    counts = {"teacher": size, "student": student.num_parameters()}
    write_text(folder / "parameters.json", json.dumps(counts))


def general_texts(
    task: Task, config: Preparation, device: torch.device, prepared: Prepared
) -> tuple[Tokens, torch.Tensor]:
    """What general distillation learns from: texts in the student's pieces, and the vectors to reproduce.

    The texts are the pool, the shots, and mixtures of the pool's texts with other words, which are at most half of what
    the updates read. The sides of a pair are texts of their own, as they are to the student.
    """
    seen = slice(0, prepared.rows["train"].stop)
    tokens, vectors = prepared.tokens(seen), torch.from_numpy(np.array(prepared.array("answers/vectors")[seen]))
    own, general = read_candidates(prepared.folder / "pool"), config.general
    sides = 2 if tokens.pairs else 1
    if number := min(general.mixed, len(own), general.updates * general.batch // 2 // sides):
        tokenizer = prepared.tokenizer()
        rng = np.random.default_rng(np.random.SeedSequence([config.seed, 0x313]))
        mixed = mixed_texts(own, list(whole_words(tokenizer)), number, rng)
        read = encode_whole(task, config, [mixed]).to(device)
        vectors = torch.cat([vectors, sentence_vectors(untuned(config, device), read).flatten(1)])
        tokens = Tokens.cat([tokens, encode(tokenizer, mixed, task.max_length)])
    return (tokens.sides() if sides == 2 else tokens), vectors.unflatten(1, (sides, -1)).flatten(0, 1)
