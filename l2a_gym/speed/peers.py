"""Student updates against the same distillation by other libraries, each in the way that it documents.

``Trainer`` of ``transformers`` with a distillation loss, and ``GeneralDistiller`` of TextBrewer (Yang et al., 2020),
from the extra ``bench``. Same teacher, student, texts, batch, optimizer and precision; once with the teacher's forward
pass in every update, as both document it, and once with its logits computed beforehand.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, Trainer, TrainingArguments

from l2a_gym.distill.config import Distillation
from l2a_gym.envs.setup import Setup
from l2a_gym.envs.world import World
from l2a_gym.errors import UserError
from l2a_gym.speed.clock import Figures, interleave
from l2a_gym.speed.updates import CHOSEN, Practice

UPDATES = 6
"""Updates that are timed: the time of twice as many less that of as many, so that no start or end of a run counts."""

Item = dict[str, Tensor]


@dataclass(frozen=True)
class Lesson:
    """What all peers are given.

    Attributes:
        setup: losses and optimizer.
        world: texts, teacher and student.
    """

    setup: Setup
    world: World

    @property
    def config(self) -> Distillation:
        """Losses and optimizer."""
        return self.setup.distillation

    @property
    def device(self) -> torch.device:
        """Where."""
        return self.world.texts.label.device

    @property
    def batch(self) -> int:
        """Texts of an update: the candidates, and as many more as we add shots."""
        return CHOSEN + self.config.anchors

    def student(self) -> PreTrainedModel:
        """The student at its start."""
        return torch.nn.Module.to(self.world.prepared.student(), self.device)

    def teacher(self) -> PreTrainedModel:
        """The fine-tuned teacher."""
        return torch.nn.Module.to(self.world.prepared.teacher(self.world.teacher), self.device)

    def items(self) -> Texts:
        """The candidates as single items, without padding."""
        return Texts(self.world)

    def optimizer(self, student: PreTrainedModel) -> torch.optim.AdamW:
        """The same for all."""
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=decay, fused=True)


class Texts(Dataset[Item]):
    """The pool's candidates in order, each as a model's arguments with label and teacher's logits."""

    def __init__(self, world: World) -> None:
        texts = world.prepared.taught(world.prepared.rows["pool"], world.teacher)
        self.tokens, self.labels, self.teacher = texts.tokens, texts.label, texts.teacher

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Item:
        ids = self.tokens.ids[i, : self.tokens.length[i]].long()
        return {"input_ids": ids, "labels": self.labels[i], "teacher": self.teacher[i]}


def collate(items: Sequence[Item]) -> Item:
    """Pad to the longest of a batch."""
    ids = torch.nn.utils.rnn.pad_sequence([item["input_ids"] for item in items], batch_first=True)
    length = torch.tensor([len(item["input_ids"]) for item in items])
    mask = (torch.arange(ids.shape[1]) < length[:, None]).long()
    stacked = {name: torch.stack([item[name] for item in items]) for name in ("labels", "teacher")}
    return {"input_ids": ids, "attention_mask": mask, **stacked}


def ours(lesson: Lesson) -> Callable[[int], object]:
    """Updates by this project; a call takes as many as it is told."""
    students = lesson.setup.new_students(lesson.world, 1)
    return lambda updates: Practice(lesson.world, lesson.config, students, updates).together()


class DistillingTrainer(Trainer):
    """``Trainer`` as its documentation adds a teacher to it: ``compute_loss`` asks it about the batch.

    Args:
        lesson: losses and optimizer.
        teacher: asked in every update; None takes the logits in the batch.
    """

    def __init__(self, lesson: Lesson, teacher: PreTrainedModel | None, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.config, self.teacher = lesson.config, teacher

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Item,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """(1 - alpha) CE + alpha T^2 KL, as in :func:`l2a_gym.distill.losses.distillation_loss`."""
        known, label = inputs.pop("teacher"), inputs.pop("labels")
        output, t, alpha = model(**inputs), self.config.temperature, self.config.alpha
        if self.teacher is not None:
            with torch.no_grad():
                known = self.teacher(**inputs).logits
        soft = F.kl_div(F.log_softmax(output.logits / t, -1), F.softmax(known / t, -1), reduction="batchmean")
        loss = (1 - alpha) * F.cross_entropy(output.logits, label) + alpha * t**2 * soft
        return (loss, output) if return_outputs else loss


def trainer(lesson: Lesson, cached: bool) -> Callable[[int], object]:
    """Updates by ``Trainer``."""
    student, teacher = lesson.student(), None if cached else lesson.teacher().eval()

    def run(updates: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                max_steps=updates,
                per_device_train_batch_size=lesson.batch,
                max_grad_norm=lesson.config.clip,
                use_cpu=lesson.device.type == "cpu",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
            )
            optimizers = (lesson.optimizer(student), None)
            DistillingTrainer(
                lesson,
                teacher,
                student,
                arguments,
                data_collator=collate,
                train_dataset=lesson.items(),
                optimizers=cast(Any, optimizers),
            ).train()

    return run


def textbrewer(lesson: Lesson, cached: bool) -> Callable[[int], object]:
    """Updates by TextBrewer; logits computed beforehand go in as the batch's ``teacher_cache``.

    Raises:
        UserError: it is not installed.
    """
    try:
        from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig
    except ImportError as error:
        raise UserError('TextBrewer is not installed: pip install "l2a-gym[bench]"') from error
    student, teacher, config = lesson.student(), lesson.teacher(), lesson.config
    soft = config.alpha * config.temperature**2
    losses = DistillationConfig(temperature=config.temperature, hard_label_weight=1 - config.alpha, kd_loss_weight=soft)

    def batch(items: Sequence[Item]) -> dict[str, Any]:
        inputs = collate(items)
        known = inputs.pop("teacher")
        if not cached:
            return inputs
        return {"teacher": inputs, "student": inputs, "teacher_cache": {"logits": known}}

    def read(_: Item, output: Any) -> dict[str, Any]:
        return {"logits": output["logits"], "losses": output.get("loss")}

    def run(updates: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingConfig(output_dir=folder, log_dir=folder, device=lesson.device, ckpt_steps=updates)
            distiller = GeneralDistiller(settings, losses, teacher, student, read, read)
            loader = DataLoader(lesson.items(), lesson.batch, shuffle=True, collate_fn=batch)
            with distiller:
                distiller.train(lesson.optimizer(student), loader, num_steps=updates, max_grad_norm=config.clip)

    return run


PEERS: dict[str, Callable[[Lesson], Callable[[int], object]]] = {
    "trainer_ratio": partial(trainer, cached=False),
    "textbrewer_ratio": partial(textbrewer, cached=False),
    "trainer_cached_ratio": partial(trainer, cached=True),
    "textbrewer_cached_ratio": partial(textbrewer, cached=True),
}
"""A figure -> the peer whose seconds over ours it is."""


def peers(setup: Setup, world: World, repeats: int) -> Figures:
    """Seconds of each peer's updates over ours, medians.

    Returns:
        ``updates_per_second``, ours, and the ratios of :data:`PEERS`.
    """
    lesson = Lesson(setup, world)
    runs = [ours(lesson), *(peer(lesson) for peer in PEERS.values())]
    calls = [partial(run, updates) for run in runs for updates in (UPDATES, 2 * UPDATES)]
    seconds = np.diff(interleave(calls, repeats, lesson.device, name="peers").reshape(repeats, -1, 2))[..., 0]
    ratios = np.median(seconds[:, 1:] / seconds[:, :1], axis=0)
    return {
        "updates_per_second": UPDATES / float(np.median(seconds[:, 0])),
        **dict(zip(PEERS, map(float, ratios), strict=True)),
    }
