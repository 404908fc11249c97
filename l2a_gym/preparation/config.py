"""What shapes a preparation besides the task."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2a_gym.augment.config import PoolConfig
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.distill.finetune import ALL_DATA, FEW_SHOT, FineTuning
from l2a_gym.distill.student import (
    GeneralDistillation,
)


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
