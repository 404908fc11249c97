"""``L2A-Distill-v0``: choose and weight candidates, a student is distilled on them, the reward is its dev gain."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from l2a_gym.distill.encode import Tokens
from l2a_gym.envs.action import check_action
from l2a_gym.envs.arguments import Described, takes
from l2a_gym.envs.batch import Batch
from l2a_gym.envs.episode import State
from l2a_gym.envs.observation import Observation
from l2a_gym.envs.setup import Arguments, Setup
from l2a_gym.envs.sub_environment import SubEnvironment
from l2a_gym.envs.viewer import RENDER
from l2a_gym.envs.world import World
from l2a_gym.errors import UserError
from l2a_gym.tasks.task import Texts


class DistillAugEnv(Described, gym.Env[Any, Any]):
    """Choose and weight candidate texts; a student takes real distillation steps on them.

    After L2A (AAAI 2021, arXiv 2101.08106). ``docs/environment.md`` is the contract in full.

    Observation: ``candidates`` (N, F), ``student`` (S,), ``domains`` (D, 5) and ``operators`` (O, 5), float32, finite,
    in the ranges of ``observation_space``; ``columns`` names the candidates' columns.

    Action: ``Box(-1, 1, (N,))``. A positive value is the candidate's weight, any other drops it. Dropping all leaves
    the target's shots alone. With ``action="trust"``: ``Box(-1, 1, (2N,))``, weights, then whom the student believes
    about each candidate: 1 is the teacher's answer alone, -1 the given label alone, 0 the configured alpha, and between
    them alpha is linear. With ``action="mixture"``: ``Box(-1, 1, (D * O,))``, the logits of a mixture over domain x
    operator from which N candidates of weight 1 are drawn.

    Step: K student updates of a fixed size, weights normalised over the chosen; then a pass over dev.

    Reward: the metric on dev after the step less before (-nll in nats by default), so rewards add up to last - first;
    0 after a step without a pass over dev (``dev_every``). With ``baseline="uniform"`` less what uniform weights would
    have gained from the same state on the same candidates.

    Termination: after the task's T steps, or with reward -1 when the student's loss is not finite. Never truncated.

    Example:
        >>> env = gym.make("l2a_gym:L2A-Distill-v0", task="hutto/nyt-64")
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

    Versions:
        v0: the first.

    Args:
        task: a task id, the path of a task file (text or ``Path``), or an
            :class:`~l2a_gym.preparation.open_task.OpenTask`, which environments share.
        action: ``weights``, ``trust`` or ``mixture``.
        metric: ``nll``, ``accuracy`` or ``macro_f1``, on dev.
        baseline: ``uniform`` subtracts the gain of uniform weights, which doubles the updates; None for nothing.
        teacher: whose logits teach the student: ``few-shot``, ``all-data``, ``frozen-few-shot``, ``frozen-all-data``,
            ``mean`` or ``cross-fitted``; the last has learnt from the labels of dev and select.
        student: ``tiny``, ``ratio``, ``tinybert`` or ``pruned``.
        checkpoint: the teacher's checkpoint: ``embedded``, a hub id or a local folder.
        pool: what the candidates are made of: ``sources``, ``lexical``, ``generated``, or values by the names in
            :class:`~l2a_gym.augment.config.PoolConfig`.
        general_updates: at most this many updates of general distillation before the first episode; 0 for none.
        features: names of the candidates' features; None: all but those that are shown only on request, for which ``*``
            stands among names.
        distillation: how the student learns, by the names in :class:`Distillation`; the others keep their defaults.
        steps: T, in the place of the task's.
        dev_every: steps from one pass over dev to the next, which the last step always has; between them the scores
            stand as they were. Passes are most of a short step's cost.
        phrases: how many phrases are cut out of each labelled text of the target and answered by the teacher. Where
            there are some, two of them join each update beside each labelled text.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        engine: how students are kept: ``batched`` as a few tensors for all, on a GPU compiled and replayed as CUDA
            graphs; ``threads`` each on its own. ``auto`` is ``batched`` on a GPU.
        precision: of the student's activations: ``float32``, ``bfloat16``, or ``auto``, which is bfloat16 on a GPU.
        render_mode: ``ansi``, ``rgb_array`` or None.

    Raises:
        UserError: an unknown argument or a value that is not valid, in the constructor; an asset that can't be had, in
            the first reset.
    """

    observation_space: spaces.Dict
    action_space: spaces.Box

    @takes(Arguments)
    def __init__(self, arguments: Arguments) -> None:
        self.setup, self.render_mode = Setup(arguments), arguments.render_mode
        self.domains, self.operators, self.columns = self.setup.domains, self.setup.operators, self.setup.columns
        self.steps, self.candidates, self.updates = self.setup.steps, self.setup.candidates, self.setup.updates
        self.observation_space, self.action_space = self.setup.observation_space, self.setup.action_space

    @cached_property
    def world(self) -> World:
        """The prepared texts; the first use loads and, where needed, prepares them."""
        return self.setup.load_world()

    @cached_property
    def batch(self) -> Batch:
        """The one sub-environment of this environment."""
        return Batch(self.setup, self.world, 1)

    @property
    def student(self) -> PreTrainedModel:
        """The student as it is now."""
        return self.batch.students.student(0)

    def predict(self, tokens: Tokens) -> Tensor:
        """The student's logits (n, C) on texts."""
        return self.batch.students.outputs(tokens).logits[0]

    def shown(self) -> NDArray[np.int64]:
        """Rows (N,) in the pool of the candidates that the last observation shows, in its order.

        Raises:
            ResetNeeded: before the first reset.
        """
        return self.batch.shown()[0][0]

    def texts(self, rows: NDArray[np.int64]) -> Texts:
        """The candidates at some rows (n,) of the pool, with the labels that the student learns them with."""
        return self.world.prepared.texts(rows)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: the student at its start, with a classifier and candidates drawn from the seed.

        Args:
            seed: of the random stream; None lets it go on.
            options: ``anchors`` says which labelled texts of the target join each update of this episode: ``shots``,
                the default, or ``all`` for those of dev and select as well. That suits a last student: rewards are then
                of texts that it learns from. ``head`` says where the classifier begins: ``drawn`` from the seed, the
                default, or ``fitted``, at a logistic regression of these texts on the student's own vectors.

        Raises:
            UserError: unknown anchors, or an unknown head.
        """
        super().reset(seed=seed)
        self._sub_environment.random = self.np_random
        self.batch.reset([0], options)
        return self._observe(), self._sub_environment.info()

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Distil the student on what the action chose.

        Raises:
            UserError: no numbers, a wrong shape, or a value that is not finite; nothing has changed then.
            ResetNeeded: before the first reset, or after the end of an episode.
        """
        checked = check_action(action, self.action_space)
        ((reward, terminated),) = self.batch.step(checked[None], np.ones(1, dtype=np.bool_))
        return self._observe(), reward, terminated, False, self._sub_environment.info()

    def metagradient(
        self, actions: NDArray[np.float32], dev: slice = slice(None)
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """How dev's nll after the episode that has just begun would change with each candidate's weight.

        Exact reverse mode, in float32, through all T * K updates that the student takes under these actions. Nothing is
        learnt: student, candidates and random stream stay as they are. It counts as
        :data:`~l2a_gym.envs.episode.METAGRADIENT_COST` updates for each update, and a pass over dev.

        Args:
            actions: (T, N), of all steps, or (T, 2N) with trust, which stays as it is.
            dev: of which texts of dev: ``slice(0, None, 2)`` is every other.

        Returns:
            Derivatives of the mean nll by the weights (T, N), < 0 where more weight helps, also of candidates that are
            dropped; not finite where the student diverges. And the info.

        Raises:
            UserError: actions as in :meth:`step`, or ``action="mixture"``.
            ResetNeeded: the episode has not begun, or took a step.
        """
        if self.setup.arguments.action == "mixture":
            raise UserError("action = 'mixture' has no metagradient: valid are weights and trust")
        self._sub_environment.begun().check_fresh()
        checked = check_action(actions, batch_space(self.action_space, self.steps))
        gradient = self.batch.metagradient(checked, dev)
        self._sub_environment.begun().book_metagradient()
        return gradient, self._sub_environment.info()

    def save_state(self) -> State:
        """A copy of this moment: student, optimizer, random stream and counters."""
        episode, random = deepcopy(self._sub_environment.begun()), deepcopy(dict(self.np_random.bit_generator.state))
        return State(self.batch.students.state(0), self.batch.gradients, episode, random)

    def restore_state(self, state: State) -> None:
        """Go back to a moment of this environment or of one made with the same arguments.

        Going on from there repeats the same rewards, bit for bit on a CPU.
        """
        self.batch.students.restore(state.student, 0)
        self.batch.gradients = state.gradient
        self._sub_environment.episode, self._sub_environment.random = deepcopy(state.episode), self.np_random
        self.np_random.bit_generator.state = deepcopy(state.random)

    def fork(self) -> DistillAugEnv:
        """A second environment at the same moment, with a student of its own and the same prepared texts."""
        twin = DistillAugEnv(**vars(self.setup.arguments))
        twin.world = self.world
        twin.restore_state(self.save_state())
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """All but the prepared texts, which a copy loads again."""
        return {name: value for name, value in vars(self).items() if name != "world"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "batch" in state:
            self.world = self.batch.world

    def render(self) -> str | NDArray[np.uint8] | None:
        """``ansi``: weights by domain x operator and the dev curve as text; ``rgb_array``: the same as a picture."""
        if self.render_mode is None:
            return None
        return RENDER[self.render_mode](self.domains, self.operators, self._sub_environment.begun())

    def _observe(self) -> Observation:
        return {name: each[0].cpu().numpy() for name, each in self.batch.observe().items()}

    @property
    def _sub_environment(self) -> SubEnvironment:
        return self.batch.envs[0]
