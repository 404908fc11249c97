"""What an experiment needs of a task: its environments, opened once, and what a student is worth in them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from l2a_agents.registry import make_selector
from l2a_agents.selector import MakeEnv, Selector, Spaces
from numpy.typing import NDArray

from l2a_gym.checked import digest_of
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.distill.device import resolve_device
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.envs.episode import Scores
from l2a_gym.envs.observation import check_features
from l2a_gym.envs.reward import score
from l2a_gym.envs.toy import ToyEnv
from l2a_gym.envs.toy_candidates import LABELS
from l2a_gym.experiment.columns import AT_HAND, ShownColumns
from l2a_gym.experiment.figures import Figures
from l2a_gym.experiment.references import references
from l2a_gym.experiment.rows import ClassifierFigures
from l2a_gym.experiment.selectors import load_class, located
from l2a_gym.experiment.suite import TOY
from l2a_gym.experiment.teachers import score_teacher, teacher_figures
from l2a_gym.preparation.open_task import OpenTask, opened
from l2a_gym.preparation.store import Prepared
from l2a_gym.tasks.task import Task

Env = gym.Env[Any, Any]


class TaskAdapter(ABC):
    """Makes a task's environments and scores their students; one environment is kept for each set of options.

    Args:
        make: makes environments; options of a call are laid over its own.
        classes: of the task, as far as they are known; 0 where they are not.

    Attributes:
        device: where students learn.
    """

    device = torch.device("cpu")

    def __init__(self, make: Callable[..., MakeEnv], classes: int) -> None:
        self.make_env, self._classes = make, classes
        self._envs: dict[str, Env] = {}

    def env(self, **options: Any) -> ShownColumns:
        """The environment of these options; the same call gives the same one.

        Where options differ in features that take no time to show, it is one, of which each call sees its own columns.

        Raises:
            UserError: an option that is not valid.
        """
        features = check_features(options.get("features"), self._classes)
        at_hand = (*check_features(None, self._classes), *AT_HAND)
        made = options | {"features": [*(at_hand if {*features} <= {*at_hand} else features)]}
        key = json.dumps(made, sort_keys=True)
        if key not in self._envs:
            self._envs[key] = self.make_env(**made)()
        return ShownColumns(self._envs[key], features)

    def with_settings(self, settings: Mapping[str, Any]) -> TaskAdapter:
        """The same task with other arguments of the environment; what is open stays open."""
        return self

    def at_once(self, most: int) -> Sequence[TaskAdapter]:
        """Itself and others of the same task, at most so many, whose environments may be used at the same time."""
        return [self]

    def selector(self, name: str, **hyperparameters: Any) -> Selector:
        """An untrained selector for this task.

        Raises:
            ValueError: unknown name, of the selector or of a hyper-parameter.
        """
        spaces = Spaces.from_env(self.env(**load_class(name).env_options))
        return make_selector(located(name), spaces, **hyperparameters)

    @abstractmethod
    def scores(self, env: Env, info: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
        """Accuracy of the environment's student at an episode's end, and further scores of it.

        No reward and no choice depends on them.
        """

    def shown(self, env: Env) -> NDArray[np.int64]:
        """Rows (N,) of the candidates that an environment shows in the prepared files; none on the toy."""
        return np.empty(0, dtype=np.int64)

    def wrong(self) -> NDArray[np.bool_]:
        """Which candidates (n,) have a label that is known to be wrong; no selector sees it but the oracle."""
        return np.empty(0, dtype=np.bool_)

    @abstractmethod
    def reference_score(self, seeds: Sequence[int]) -> float:
        """The score that the all-data teacher has, or the best actions, where students have these seeds."""

    def classifiers(self) -> dict[str, ClassifierFigures]:
        """Name -> figures of the task's teachers, then of its references."""
        return {}

    def fingerprint(self) -> str:
        """A hash of the prepared files' content, which are made where they are missing; empty where there are none."""
        return ""

    def stages(self) -> dict[str, str]:
        """Stage of the preparation -> a hash of its files; none where there are no prepared files."""
        return {}

    def has_noise(self) -> bool:
        """Whether some labels are wrong on purpose, so that there is something for the oracle to know."""
        return True


class DistillAdapter(TaskAdapter):
    """``L2A-Distill-v0``: students are scored by their accuracy on the target's test split.

    Args:
        task: a task, its id or the path of a task file; behind an ``@`` the make-up of its pool, unless the settings
            name one; ``lexical`` by default.
        settings: further arguments of the environment.

    Raises:
        UserError: a value that is not valid.
    """

    def __init__(self, task: str | OpenTask, settings: Mapping[str, Any]) -> None:
        pool = "lexical"
        if isinstance(task, str) and "/" not in (made := task.rpartition("@"))[2] and made[1]:
            task, _, pool = made  # a folder's name may have an @ in it, before a slash
        self.opened = opened(task)
        self.checkpoint = settings.get("checkpoint", EMBEDDED)
        self.settings = settings = {"pool": pool, **settings, "task": self.opened}

        def make_env(**options: Any) -> MakeEnv:
            return MakeEnv("l2a_gym:L2A-Distill-v0", **settings | options)

        super().__init__(make_env, len(self.opened.outline.labels))
        self.env()  # cheap: it reads no text, and finds what is wrong
        self.device = resolve_device(settings.get("device", "auto"))

    def with_settings(self, settings: Mapping[str, Any]) -> DistillAdapter:
        """The same texts under other arguments."""
        return DistillAdapter(self.opened, settings)

    def at_once(self, most: int) -> Sequence[TaskAdapter]:
        """One for each thread of the processor; a GPU is busy with one."""
        more = min(most, torch.get_num_threads()) - 1 if self.device.type == "cpu" else 0
        return [self, *(self.with_settings(self.settings) for _ in range(more))]

    @property
    def task(self) -> Task:
        """The texts."""
        return self.opened.task(self.checkpoint)

    @cached_property
    def prepared(self) -> Prepared:
        """The task's prepared folder."""
        return distill(self.env()).world.prepared

    def scores(self, env: Env, info: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
        """Test accuracy; and accuracy, negative log-likelihood and macro F1 on dev and test."""
        scores = {split: score_student(env, split) for split in ("dev", "test")}
        names = ("accuracy", "nll", "macro_f1")
        named = {f"{split}_{name}": getattr(each, name) for split, each in scores.items() for name in names}
        return scores["test"].accuracy, named

    def shown(self, env: Env) -> NDArray[np.int64]:
        """Rows of the candidates."""
        return distill(env).shown()

    def wrong(self) -> NDArray[np.bool_]:
        """Whose label was changed on purpose."""
        return self.prepared.array("signals/flipped")

    def reference_score(self, seeds: Sequence[int]) -> float:
        """Test accuracy of the all-data teacher, whatever the seeds."""
        return score_teacher(self.prepared, "all-data", "test").accuracy

    @cached_property
    def teachers(self) -> dict[str, Figures]:
        """Name -> figures of each teacher."""
        return teacher_figures(self.task, self.prepared, self.device)

    @cached_property
    def references(self) -> dict[str, Figures]:
        """Name -> figures of each reference."""
        return references(self.task, self.prepared)

    def classifiers(self) -> dict[str, ClassifierFigures]:
        """The figures that are the same wherever they are measured: all but speed."""
        named = {f"{name} teacher": each for name, each in self.teachers.items()} | self.references
        texts = len(self.task.test)
        return {
            name: ClassifierFigures(each.test_accuracy, texts, each.labels, each.parameters)
            for name, each in named.items()
        }

    def fingerprint(self) -> str:
        """Hash of the prepared files' hashes."""
        return digest_of(self.prepared.manifest()["files"])[:16]

    def stages(self) -> dict[str, str]:
        """Hashes of the hashes of each stage's files."""
        files: Mapping[str, str] = self.prepared.manifest()["files"]
        stage = itemgetter(0)
        parts = groupby(sorted((*name.split("/", 1), sha) for name, sha in files.items()), key=stage)
        return {name: digest_of([each[1:] for each in part])[:16] for name, part in parts}

    def has_noise(self) -> bool:
        """Whether labels of candidates are known to be wrong."""
        return bool(self.wrong().any())


class ToyAdapter(TaskAdapter):
    """``L2A-Toy-v0``: made-up students are scored by their accuracy, (1 + skill) / 2."""

    def __init__(self) -> None:
        super().__init__(lambda **options: MakeEnv("l2a_gym:L2A-Toy-v0", noise=0.01, **options), len(LABELS))

    def scores(self, env: Env, info: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
        """Accuracy of the made-up student, which has no others."""
        return float(info["dev_accuracy"]), {}

    def reference_score(self, seeds: Sequence[int]) -> float:
        """Accuracy under the best actions, without noise."""
        toy = self.env().unwrapped
        assert isinstance(toy, ToyEnv)
        return float(np.mean([(1 + toy.optimal_return(seed)) / 2 for seed in seeds]))


def adapter_of(task: str | OpenTask, settings: Mapping[str, Any]) -> TaskAdapter:
    """The adapter of a task; the toy has no use for the settings.

    Raises:
        UserError: a value that is not valid.
    """
    return ToyAdapter() if task == TOY else DistillAdapter(task, settings)


def distill(env: Env) -> DistillAugEnv:
    """The environment without its wrappers."""
    inner = env.unwrapped
    assert isinstance(inner, DistillAugEnv)
    return inner


def score_student(env: Env, split: str) -> Scores:
    """Scores of the environment's student, as it is now, on a split of the target."""
    inner = distill(env)
    prepared = inner.world.prepared
    held_out = prepared.labelled(prepared.rows[split]).to(inner.world.static.device)
    return score(inner.predict(held_out.tokens), held_out.label)
