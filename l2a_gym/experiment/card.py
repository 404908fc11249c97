"""The exported folder's README.md: a model card, with the metadata that the Hugging Face hub reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.experiment.exported import BATCH
from l2a_gym.experiment.settings import Run, task_slug
from l2a_gym.experiment.summary import size_of
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.hub_sets import TASKS
from l2a_gym.wording import plain

EMBEDDED_ID = "sentence-transformers/all-MiniLM-L6-v2"
PAIRS = """
It reads the two texts of a pair one by one and compares their vectors, which no class of `transformers` does. The
package `l2a-gym` has that class:

```python
from l2a_gym import load_student
from transformers import pipeline

folder = "student"  # where this folder lies
classify = pipeline("text-classification", load_student(folder), tokenizer=folder)
classify({"text": "...", "text_pair": "..."})
```
"""
"""How a student of pairs is loaded."""
ONNX = """
## ONNX

The same student as ONNX, in float32 and with 8-bit weights. All files on the test split, on one core, in batches of
{batch}:

| file | MB | texts/s | test accuracy | same labels as PyTorch |
|---|---:|---:|---:|---:|
{rows}

They need `onnxruntime` and `tokenizers` alone, in this folder:

```python
import json

import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.encode_special_tokens = True  # in a text, {pad} is a word
tokenizer.enable_padding(pad_id={pad_id}, pad_token="{pad}")
session = InferenceSession("onnx/model_int8.onnx")
names = json.load(open("config.json"))["id2label"]

read = tokenizer.encode_batch([{example}])
inputs = {{"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}}
(logits,) = session.run(None, {{name: np.array([getattr(text, key) for text in read]) for name, key in inputs.items()}})
print([names[str(row.argmax())] for row in logits])
```
"""
"""How the ONNX files are used without this package, and what they are worth."""


def model_card(run: Run, prepared: Prepared, scores: dict[str, Any]) -> str:
    """The card of a run's exported student.

    Args:
        run: the run.
        prepared: its prepared task.
        scores: of the student, see :func:`~l2a_gym.experiment.final.export_student`.
    """
    manifest = prepared.manifest()
    checkpoint = manifest["config"]["checkpoint"]
    teacher = f"{EMBEDDED_ID} (Apache-2.0)" if checkpoint == EMBEDDED else _own_name(checkpoint)
    shots = prepared.tokens(prepared.rows["train"])
    length, error = shots.ids.shape[1], scores["calibration_error"]
    target, *sources = (plain(domain) for domain in manifest["domains"])
    return f"""---
{_metadata(run, manifest["domains"], checkpoint, scores).to_yaml()}
---

# {plain(task_slug(run.task))}: a distilled student

A small student ({size_of(scores["parameters"], manifest)}), distilled with L2A-Gym from the \
{scores["teacher"]} teacher, which was made of {plain(teacher)}.

| | |
|---|---|
| labels | {", ".join(map(plain, manifest["labels"]))} |
| target domain, sources | {target}; {", ".join(sources)} |
| selector | {plain(run.algo)}, seed {run.seed}, budget {run.budget} |
| weights of the candidates by | {plain(scores["policy"])} |
| student updates | {scores["updates"]} |
| labels of the target that were read | {scores["labels"]} |
| dev accuracy | {scores["dev_accuracy"]:.4f} |
| test accuracy | {scores["test_accuracy"]:.4f} |
| temperature | {scores["temperature"]:.3f} |
| expected calibration error on test (15 bins), before and after | {error["before"]:.4f}, {error["after"]:.4f} |

The vocabulary is trimmed to pieces of the candidates, train and dev, and to frequent words; others are cut into smaller
pieces. The test accuracy is that of this folder in a `text-classification` pipeline. The folder has learnt from the
texts of dev, too, so the dev accuracy is that of a student that has not. Expect other seeds to differ by one or two
points.

Probabilities are calibrated by temperature scaling (Guo et al., 2017): the logits are divided by the temperature, which
is part of the classifier's weights here. It minimises the loss on dev of the student that has not learnt from dev.

The student was taught with texts of up to {length} tokens. Of a longer one, the tokenizer leaves the beginning.
{PAIRS if shots.pairs else ""}{_onnx(prepared, scores["formats"], shots.pairs) if "formats" in scores else ""}"""


def _onnx(prepared: Prepared, formats: dict[str, dict[str, float]], pairs: bool) -> str:
    tokenizer = prepared.tokenizer()
    rows = (
        f"| {name} | {each['megabytes']:.1f} | {each['texts_per_second']:,.0f} | {each['test_accuracy']:.4f} "
        f"| {each['same_labels']:.4f} |"
        for name, each in formats.items()
    )
    return ONNX.format(
        batch=BATCH,
        rows="\n".join(rows),
        pad=tokenizer.pad_token,
        pad_id=tokenizer.pad_token_id,
        example='("...", "...")' if pairs else '"..."',
    )


def _metadata(run: Run, domains: list[str], checkpoint: str, scores: dict[str, Any]) -> ModelCardData:
    """What is known: one's own checkpoint has no id on the hub, and no task file names a language or a license."""
    base = EMBEDDED_ID if checkpoint == EMBEDDED else checkpoint
    sets = _datasets(run.task, domains)
    test = EvalResult(
        task_type="text-classification",
        dataset_type=sets[0],
        dataset_name=domains[0],
        dataset_split="test",
        metric_type="accuracy",
        metric_value=round(scores["test_accuracy"], 4),
    )
    return ModelCardData(
        license="apache-2.0" if checkpoint == EMBEDDED else "unknown",
        base_model=None if Path(base).exists() else base,
        language=None if run.task.endswith(".toml") else "en",
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["knowledge-distillation", "l2a-gym", *(["onnx"] if "formats" in scores else [])],
        datasets=sorted(set(sets)),
        metrics=["accuracy"],
        model_name=_id(f"{task_slug(run.task)}-{run.algo}"),
        eval_results=[test],
    )


def _datasets(task: str, domains: list[str]) -> list[str]:
    """Names of the domains' texts, as the hub writes them; of other tasks than those of the hub, after the task."""
    if task.startswith("hub/"):
        sets = TASKS[task.removeprefix("hub/").rpartition("-")[0]].domains
        return [sets[domain].path for domain in domains]
    family = task_slug(task) if task.endswith(".toml") else task.partition("/")[0]
    return [f"{_id(family)}/{_id(domain)}" for domain in domains]


def _id(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "unnamed"


def _own_name(checkpoint: str) -> str:
    """A hub id, or the name of a folder without where it lies."""
    return f"a checkpoint named {Path(checkpoint).name}" if Path(checkpoint).exists() else checkpoint
