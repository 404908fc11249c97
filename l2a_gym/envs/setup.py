"""What the arguments of an environment say: checked, and turned into spaces, names and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from l2a_gym.augment.config import PoolConfig
from l2a_gym.config import configured
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.device import PRECISIONS, resolve_device, student_precision
from l2a_gym.distill.student import GeneralDistillation, careful, student_names
from l2a_gym.distill.students import ENGINES, Students
from l2a_gym.envs.action import MODES, action_space
from l2a_gym.envs.arguments import checked_arguments
from l2a_gym.envs.observation import candidate_columns, check_features, observation_space
from l2a_gym.envs.reward import METRICS
from l2a_gym.envs.world import World, load_world
from l2a_gym.errors import UserError, check_least
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.layer_features import check_layers
from l2a_gym.preparation.open_task import OpenTask, opened
from l2a_gym.preparation.store import TEACHERS

DEFAULT_TASK = "hutto/nyt-64-noise40"


class Setup:
    """The checked arguments of an environment; :class:`~l2a_gym.envs.distill_aug.DistillAugEnv` explains them.

    Attributes:
        action: ``weights`` or ``mixture``.
        metric: of the reward.
        control: whether the gain of uniform weights is subtracted.
        dev_every: steps from one pass over dev to the next.
        distillation: how students learn.
        domains: names, the target first.
        operators: names.
        columns: of the candidates.
        steps: T.
        candidates: N.
        updates: K.
        observation_space: of one student.
        action_space: the same.

    Raises:
        UserError: a value that is not valid.
    """

    @checked_arguments()
    def __init__(
        self,
        task: str | OpenTask = DEFAULT_TASK,
        *,
        action: Annotated[str, MODES] = "weights",
        metric: Annotated[str, METRICS] = "nll",
        control: bool = False,
        teacher: Annotated[str, TEACHERS] = "few-shot",
        student: Annotated[str, student_names()] = "tiny",
        checkpoint: str = EMBEDDED,
        pool: str | Mapping[str, Any] = "lexical",
        general_updates: int = 800,
        features: list[str] | None = None,
        distillation: Mapping[str, Any] | None = None,
        steps: int | None = None,
        dev_every: int = 1,
        device: str = "auto",
        engine: Annotated[str, ENGINES] = "auto",
        precision: Annotated[str, PRECISIONS] = "auto",
    ) -> None:
        for name, number in (("steps", 1 if steps is None else steps), ("dev_every", dev_every)):
            check_least(name, number)
        if control and action == "mixture":
            raise UserError("control = True needs action = 'weights': a mixture's control would repeat the same draw")
        if control and dev_every > 1:
            raise UserError(f"dev_every = {dev_every}: control = True needs a pass over dev in every step; valid is 1")
        self.action, self.metric, self.control, self.dev_every = action, metric, control, dev_every
        self._task, self._teacher, self._device = opened(task), teacher, device
        self._engine, self._precision = engine, precision
        self._features = check_features(features)
        general = GeneralDistillation(updates=general_updates)
        self._preparation = Preparation(
            checkpoint=checkpoint, student=student, pool=PoolConfig.of(pool), general=general
        )
        rate = careful(student, Distillation.learning_rate)
        self.distillation = configured(Distillation(learning_rate=rate), distillation or {}, "distillation")
        if engine == "batched" and self.distillation.extra:
            losses = ", ".join(self.distillation.extra)
            raise UserError(f"engine = 'batched' knows no losses between layers ({losses}): valid is 'threads'")
        check_layers(self.distillation, student, checkpoint)
        plan = self._task.outline
        self.domains, self.operators = plan.domains, self._preparation.pool.names
        self.steps = steps or plan.budget.steps
        self.candidates, self.updates = plan.budget.candidates, plan.budget.updates
        self.columns = candidate_columns(self._features, self.domains, self.operators)
        groups = len(self.domains) * len(self.operators)
        self.observation_space = observation_space(
            self.candidates, self.columns, len(self.domains), len(self.operators)
        )
        self.action_space = action_space(action, self.candidates, groups)

    def load_world(self) -> World:
        """Load the prepared texts, after preparing them where needed.

        Raises:
            UserError: an asset, the checkpoint, the device or the cache folder can't be had.
        """
        device = resolve_device(self._device)
        prepared = self._task.prepared(self._preparation, device)
        sizes = len(self.domains), len(self.operators)
        return load_world(prepared, self._teacher, self._features, *sizes, device)

    def new_students(self, world: World, number: int) -> Students:
        """A number of students at their start, as the arguments say."""
        device = world.static.device
        batched = (
            device.type == "cuda" and not self.distillation.extra
            if self._engine == "auto"
            else self._engine == "batched"
        )
        return world.new_students(self.distillation, number, batched, student_precision(device, self._precision))
