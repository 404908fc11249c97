"""L2A-Gym: learning to choose and weight texts for BERT distillation.

Importing this package registers ``L2A-Distill-v0`` and ``L2A-Toy-v0``. It imports neither torch nor transformers: the
public names below are loaded when they are first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

import gymnasium

from l2a_gym.errors import UserError

if TYPE_CHECKING:
    from l2a_gym.augment.config import PoolConfig as PoolConfig
    from l2a_gym.distill.config import Distillation as Distillation
    from l2a_gym.distill.towers import load_student as load_student
    from l2a_gym.envs.distill_aug import DistillAugEnv as DistillAugEnv
    from l2a_gym.envs.distill_aug_vector import DistillAugVectorEnv as DistillAugVectorEnv
    from l2a_gym.envs.toy import ToyEnv as ToyEnv
    from l2a_gym.experiment.conformance import SelectorConformance as SelectorConformance
    from l2a_gym.experiment.settings import Run as Run
    from l2a_gym.experiment.train import train as train
    from l2a_gym.preparation.build import prepare as prepare
    from l2a_gym.preparation.config import Preparation as Preparation
    from l2a_gym.preparation.open_task import OpenTask as OpenTask
    from l2a_gym.preparation.store import Prepared as Prepared
    from l2a_gym.tasks.registry import make_task as make_task
    from l2a_gym.tasks.registry import task_ids as task_ids
    from l2a_gym.tasks.task import Task as Task

    __version__: str

_MODULES = {
    "DistillAugEnv": "envs.distill_aug",
    "DistillAugVectorEnv": "envs.distill_aug_vector",
    "Distillation": "distill.config",
    "PoolConfig": "augment.config",
    "OpenTask": "preparation.open_task",
    "Preparation": "preparation.config",
    "Prepared": "preparation.store",
    "Run": "experiment.settings",
    "SelectorConformance": "experiment.conformance",
    "Task": "tasks.task",
    "ToyEnv": "envs.toy",
    "load_student": "distill.towers",
    "make_task": "tasks.registry",
    "prepare": "preparation.build",
    "task_ids": "tasks.registry",
    "train": "experiment.train",
}
"""Public name -> where it lies in this package."""
__all__ = ["UserError", *_MODULES]

if not TYPE_CHECKING:  # a checker that saw this function would accept every name

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return getattr(import_module(f"l2a_gym.{_MODULES[name]}"), name)
        if name == "__version__":
            return version("l2a-gym")
        raise AttributeError(f"module 'l2a_gym' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "__version__"})


for _name, _entry_point, _vector_entry_point in (
    (
        "L2A-Distill-v0",
        "l2a_gym.envs.distill_aug:DistillAugEnv",
        "l2a_gym.envs.distill_aug_vector:DistillAugVectorEnv",
    ),
    ("L2A-Toy-v0", "l2a_gym.envs.toy:ToyEnv", None),
):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, entry_point=_entry_point, vector_entry_point=_vector_entry_point)
