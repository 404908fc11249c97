"""The arguments of an environment, checked, and what follows from them: spaces, names and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any

from l2a_gym.augment.config import PoolConfig
from l2a_gym.config import configured
from l2a_gym.distill.batched import BatchedStudents
from l2a_gym.distill.checkpoint import EMBEDDED
from l2a_gym.distill.config import Distillation
from l2a_gym.distill.device import PRECISIONS, resolve_device, student_precision
from l2a_gym.distill.distiller import Distiller
from l2a_gym.distill.student import GeneralDistillation, scaled_rate, student_names
from l2a_gym.distill.students import ENGINES, Students, ThreadedStudents
from l2a_gym.envs.action import MODES, action_space
from l2a_gym.envs.arguments import Checked
from l2a_gym.envs.episode import METRICS
from l2a_gym.envs.observation import candidate_columns, check_features, observation_space
from l2a_gym.envs.viewer import RENDER_MODES
from l2a_gym.envs.world import World, load_world
from l2a_gym.errors import UserError, check_least
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.labelled_phrases import answered_phrases
from l2a_gym.preparation.open_task import OpenTask, opened
from l2a_gym.preparation.store import TEACHERS

DEFAULT_TASK = "hutto/nyt-64-noise40"
BASELINES = ("uniform",)


@dataclass(frozen=True)
class Arguments(Checked):
    """The arguments of :class:`~l2a_gym.envs.distill_aug.DistillAugEnv`, which explains them."""

    task: str | OpenTask = DEFAULT_TASK
    _: KW_ONLY
    action: Annotated[str, MODES] = "weights"
    metric: Annotated[str, METRICS] = "nll"
    baseline: Annotated[str, BASELINES] | None = None
    teacher: Annotated[str, TEACHERS] = "few-shot"
    student: Annotated[str, student_names()] = "tiny"
    checkpoint: str = EMBEDDED
    pool: str | Mapping[str, Any] = "lexical"
    general_updates: int = 1200
    features: list[str] | None = None
    distillation: Mapping[str, Any] | None = None
    steps: int | None = None
    dev_every: int = 1
    phrases: int = 0
    device: str = "auto"
    engine: Annotated[str, ENGINES] = "auto"
    precision: Annotated[str, PRECISIONS] = "auto"
    render_mode: Annotated[str, RENDER_MODES] | None = None


class Setup:
    """What follows from the arguments of an environment.

    Args:
        arguments: of the constructor.

    Attributes:
        arguments: the same.
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

    def __init__(self, arguments: Arguments) -> None:
        _check_numbers(arguments)
        self.arguments = arguments
        self._preparation = Preparation(
            checkpoint=arguments.checkpoint,
            student=arguments.student,
            pool=PoolConfig.from_setting(arguments.pool),
            general=GeneralDistillation(updates=arguments.general_updates),
        )
        rate = scaled_rate(arguments.student, Distillation.learning_rate)
        self.distillation = configured(Distillation(learning_rate=rate), arguments.distillation or {}, "distillation")
        self._task = opened(arguments.task)
        plan = self._task.outline
        self.domains, self.operators = plan.domains, self._preparation.pool.operators(plan.unlabelled)
        self.steps = arguments.steps or plan.budget.steps
        self.candidates, self.updates = plan.budget.candidates, plan.budget.updates
        values = {"domain": self.domains, "operator": self.operators, "label": plan.labels}
        self._sizes = {name: len(each) for name, each in values.items()}
        self._features = check_features(arguments.features, len(plan.labels))
        self.columns = candidate_columns(self._features, values)
        sizes = len(self.domains), len(self.operators)
        self.observation_space = observation_space(self.candidates, self.columns, *sizes)
        self.action_space = action_space(arguments.action, self.candidates, sizes[0] * sizes[1])

    def load_world(self) -> World:
        """Load the prepared texts, after preparing them where needed.

        Raises:
            UserError: an asset, the checkpoint, the device or the cache folder can't be had.
        """
        device = resolve_device(self.arguments.device)
        prepared = self._task.prepared(self._preparation, device)
        teacher, copies = self.arguments.teacher, self.arguments.phrases
        task = self._task.task(self.arguments.checkpoint)
        phrases = answered_phrases(task, prepared, teacher, copies, device) if copies else None
        return load_world(prepared, teacher, self._features, self._sizes, device, phrases)

    def new_students(self, world: World, number: int) -> Students:
        """A number of students at their start: one batch, or each in a thread of its own."""
        prepared, config, engine = world.prepared, self.distillation, self.arguments.engine
        device = world.static.device
        precision = student_precision(device, self.arguments.precision)
        if engine == "batched" or (engine == "auto" and device.type == "cuda"):
            return BatchedStudents(prepared.student(), number, world.texts, world.dev.tokens, config, precision)
        each = [Distiller(prepared.student(), world.texts, config, precision) for _ in range(number)]
        return ThreadedStudents(each, world.dev.tokens)


def _check_numbers(arguments: Arguments) -> None:
    for name, number in (("steps", arguments.steps), ("dev_every", arguments.dev_every)):
        if number is not None:
            check_least(name, number)
    check_least("phrases", arguments.phrases, 0)
    if arguments.baseline and arguments.action == "mixture":
        raise UserError(
            "baseline = 'uniform' needs action = 'weights' or 'trust': a mixture's would repeat the same draw"
        )
    if arguments.baseline and arguments.dev_every > 1:
        raise UserError(
            f"dev_every = {arguments.dev_every}: baseline = 'uniform' needs a pass over dev in every step; valid is 1"
        )
