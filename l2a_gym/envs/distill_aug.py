"""``L2A-Distill-v0``: choose and weight candidates, a student is distilled on them, the reward is its dev gain."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from math import isfinite
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from torch import Tensor

from l2a_gym.augment.config import PoolConfig
from l2a_gym.distill.device import resolve_device
from l2a_gym.distill.distiller import Distillation, Distiller, last_layer_gradient
from l2a_gym.distill.features import check_layers
from l2a_gym.distill.student import GeneralDistillation, careful, student_names
from l2a_gym.distill.teacher import EMBEDDED
from l2a_gym.envs import viewer
from l2a_gym.envs.action import MODES, action_space, check_action, mixture_of, weights_of
from l2a_gym.envs.episode import Episode, State
from l2a_gym.envs.observation import candidate_columns, check_features, observation_space
from l2a_gym.envs.observe import Observation, observe
from l2a_gym.envs.reward import METRICS, Scores, score
from l2a_gym.envs.world import World, load_world
from l2a_gym.errors import UserError, check_choice
from l2a_gym.prepare import prepare
from l2a_gym.prepared import TEACHERS
from l2a_gym.stages import Preparation
from l2a_gym.tasks.registry import make_task, outline

DEFAULT_TASK = "hutto/nyt-64-noise40"
DIVERGED = -1.0
"""The reward of a step after which the student's loss is not finite; the episode ends there."""


class DistillAugEnv(gym.Env[Any, Any]):
    """Choose and weight candidate texts; a student takes real distillation steps on them.

    After L2A (AAAI 2021, arXiv 2101.08106). ``docs/environment.md`` is the contract in full.

    Observation: ``candidates`` (N, F), ``student`` (S,), ``domains`` (D, 5) and ``operators`` (O, 5), float32, finite,
    in the ranges of ``observation_space``; ``columns`` names the candidates' columns.

    Action: ``Box(-1, 1, (N,))``. A positive value is the candidate's weight, any other drops it. With
    ``action="mixture"``: ``Box(-1, 1, (D * O,))``, the logits of a mixture over domain x operator from which N
    candidates of weight 1 are drawn. Dropping all leaves the target's shots alone.

    Step: K student updates of a fixed size, weights normalised over the chosen; then a pass over dev.

    Reward: the metric on dev after the step less before (-nll in nats by default), so rewards add up to last - first;
    0 after a step without a pass over dev (``dev_every``); with ``control=True`` less what uniform weights would have
    gained from the same state on the same candidates.

    Termination: after the task's T steps, or with reward -1 when the student's loss is not finite. Never truncated.

    Example:
        >>> env = gym.make("l2a_gym:L2A-Distill-v0", task="hutto/nyt-64")
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

    Versions:
        v0: the first.

    Args:
        task: a task id or the path of a task file.
        action: ``weights`` or ``mixture``.
        metric: ``nll``, ``accuracy`` or ``macro_f1``, on dev.
        control: subtract the gain of uniform weights; doubles the updates.
        teacher: whose logits teach the student: ``few-shot`` or ``all-data``.
        student: ``tiny``, ``ratio``, ``tinybert`` or ``pruned``.
        checkpoint: the teacher's checkpoint: ``embedded``, a hub id or a local folder.
        pool: what the candidates are made of: ``sources``, ``lexical``, ``generated``, or values by the names in
            :class:`~l2a_gym.augment.config.PoolConfig`.
        general_updates: at most this many updates of general distillation before the first episode; 0 for none.
        features: names of the candidates' features; None: all but the oracle's.
        distillation: how the student learns, by the names in :class:`Distillation`; the others keep their defaults.
        steps: T, in the place of the task's.
        dev_every: steps from one pass over dev to the next, which the last step always has; between them the scores
            stand as they were. Passes are most of a short step's cost.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<i>``.
        render_mode: ``ansi``, ``rgb_array`` or None.

    Raises:
        UserError: a value that is not valid, in the constructor; an asset that can't be had, in the first reset.
    """

    observation_space: spaces.Dict
    action_space: spaces.Box
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        task: str = DEFAULT_TASK,
        *,
        action: str = "weights",
        metric: str = "nll",
        control: bool = False,
        teacher: str = "few-shot",
        student: str = "tiny",
        checkpoint: str = EMBEDDED,
        pool: str | Mapping[str, Any] = "lexical",
        general_updates: int = 800,
        features: list[str] | None = None,
        distillation: Mapping[str, Any] | None = None,
        steps: int | None = None,
        dev_every: int = 1,
        device: str = "auto",
        render_mode: str | None = None,
    ) -> None:
        self._settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        check_choice("action", action, MODES)
        check_choice("metric", metric, METRICS)
        check_choice("teacher", teacher, TEACHERS)
        check_choice("student", student, student_names())
        if render_mode is not None:
            check_choice("render mode", render_mode, self.metadata["render_modes"])
        if control and action == "mixture":
            raise UserError("control = True needs action = 'weights': a mixture's control would repeat the same draw")
        for name, number in (("steps", 1 if steps is None else steps), ("dev_every", dev_every)):
            if number < 1:
                raise UserError(f"{name} = {number}: valid are whole numbers from 1")
        if control and dev_every > 1:
            raise UserError(f"dev_every = {dev_every}: control = True needs a pass over dev in every step; valid is 1")
        self.render_mode = render_mode
        self._features = check_features(features)
        general = GeneralDistillation(updates=general_updates)
        self._preparation = Preparation(
            checkpoint=checkpoint, student=student, pool=PoolConfig.of(pool), general=general
        )
        rate = careful(student, Distillation.learning_rate)
        self._config = Distillation.of({"learning_rate": rate, **(distillation or {})})
        check_layers(self._config, student, checkpoint)
        plan = outline(task)
        self.domains, self.operators = plan.domains, self._preparation.pool.names
        self.steps = steps or plan.budget.steps
        self.candidates, self.updates = plan.budget.candidates, plan.budget.updates
        self.columns = candidate_columns(self._features, self.domains, self.operators)
        self.observation_space = observation_space(
            self.candidates, self.columns, len(self.domains), len(self.operators)
        )
        self.action_space = action_space(action, self.candidates, len(self.domains) * len(self.operators))
        self._world: World | None = None
        self._distiller: Distiller | None = None
        self._episode: Episode | None = None

    @property
    def world(self) -> World:
        """The prepared texts; the first use loads and, where needed, prepares them."""
        if self._world is None:
            device = resolve_device(self._settings["device"])
            prepared = prepare(make_task(self._settings["task"]), self._preparation, device)
            sizes = len(self.domains), len(self.operators)
            self._world = load_world(prepared, self._settings["teacher"], self._features, *sizes, device)
        return self._world

    @property
    def distiller(self) -> Distiller:
        """The student as it is now."""
        if self._distiller is None:
            self._distiller = self.world.new_distiller(self._config)
        return self._distiller

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: the student at its start, with a classifier and candidates drawn from the seed."""
        super().reset(seed=seed)
        self.distiller.reset(head_seed=int(self.np_random.integers(2**31)))
        rows, anchors = self._draw()
        scores, gradient = self._dev_pass()
        curve = [scores.value(self._settings["metric"])]
        weight, shown = np.zeros((2, len(self.world.groups)))
        self._episode = Episode(rows, anchors, scores, gradient, curve, weight, shown)
        return self._observe(), self._episode.info(self.domains)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Distil the student on what the action chose.

        Raises:
            UserError: wrong shape, or a value that is not finite.
            ResetNeeded: before the first reset, or after the end of an episode.
        """
        episode, metric = self._running(), self._settings["metric"]
        checked = check_action(action, self.action_space)
        if self._settings["action"] == "mixture":
            episode.rows, weights = self._sample(checked), np.ones(self.candidates, dtype=np.float32)
        else:
            weights = weights_of(checked)
        control = self._control_gain() if self._settings["control"] else 0.0
        episode.train_loss = self._distil(weights)
        episode.t += 1
        episode.updates += self.updates
        episode.count(self.world.group[episode.rows], weights)
        scores, gradient = episode.scores, episode.gradient
        if episode.t % self._settings["dev_every"] == 0 or episode.t == self.steps:
            scores, gradient = self._dev_pass()
            episode.dev_passes += 1
        if not (isfinite(episode.train_loss) and isfinite(scores.nll)):
            episode.diverged = True
            return self._blank(), DIVERGED, True, False, episode.info(self.domains)
        episode.scores, episode.gradient = scores, gradient
        episode.curve.append(scores.value(metric))
        episode.rows, episode.anchors = self._draw()
        reward = episode.curve[-1] - episode.curve[-2] - control
        return self._observe(), reward, episode.t >= self.steps, False, episode.info(self.domains)

    def save_state(self) -> State:
        """A copy of this moment: student, optimiser, random stream and counters."""
        return State(
            self.distiller.state(), deepcopy(self._begun()), deepcopy(dict(self.np_random.bit_generator.state))
        )

    def restore_state(self, state: State) -> None:
        """Go back to a moment of this environment or of one made with the same arguments.

        Going on from there repeats the same rewards, bit for bit on a CPU.
        """
        self.distiller.restore(state.distiller)
        self._episode = deepcopy(state.episode)
        self.np_random.bit_generator.state = deepcopy(state.random)

    def fork(self) -> DistillAugEnv:
        """A second environment at the same moment, with a student of its own and the same prepared texts."""
        twin = DistillAugEnv(**self._settings)
        twin._world = self.world
        twin.restore_state(self.save_state())
        return twin

    def render(self) -> str | NDArray[np.uint8] | None:
        """``ansi``: weights by domain x operator and the dev curve as text; ``rgb_array``: the same as a picture."""
        if self.render_mode is None:
            return None
        draw = viewer.ansi if self.render_mode == "ansi" else viewer.rgb_array
        return draw(self.domains, self.operators, self._begun(), self._settings["metric"])

    def _begun(self) -> Episode:
        if self._episode is None:
            raise ResetNeeded("call reset() first: no episode has begun")
        return self._episode

    def _running(self) -> Episode:
        episode = self._begun()
        if episode.diverged or episode.t >= self.steps:
            raise ResetNeeded("the episode is over: call reset() before the next step()")
        return episode

    def _draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Candidates to show, without repetition where the pool allows, and anchors for the next step."""
        n, total, usable = self.world.candidates, len(self.world.texts.label), self.world.usable
        rows = self.np_random.choice(usable, size=self.candidates, replace=len(usable) < self.candidates)
        return rows, self.np_random.integers(n, total, size=self.updates * self._config.anchors)

    def _sample(self, action: NDArray[np.float32]) -> NDArray[np.int64]:
        """Candidates drawn from the mixture, with repetition."""
        groups = self.world.groups
        counts = self.np_random.multinomial(self.candidates, mixture_of(action, np.array([len(g) for g in groups])))
        return np.concatenate([self.np_random.choice(g, size=k) for g, k in zip(groups, counts, strict=True) if k])

    def _distil(self, weights: NDArray[np.float32]) -> float:
        episode, device = self._begun(), self.distiller.device
        rows, anchors = (torch.from_numpy(index).to(device) for index in (episode.rows, episode.anchors))
        rate = 1 - episode.t / self.steps  # falls to zero with the horizon, so that the last student has settled
        return self.distiller.step(rows, torch.from_numpy(weights).to(device), anchors, self.updates, rate)

    def _control_gain(self) -> float:
        """What uniform weights gain from this state on these candidates; the state is left as it was."""
        episode, metric = self._begun(), self._settings["metric"]
        before = self.distiller.state()
        self._distil(np.ones(self.candidates, dtype=np.float32))
        gain = self._dev_pass()[0].value(metric) - episode.scores.value(metric)
        self.distiller.restore(before)
        episode.updates += self.updates
        episode.dev_passes += 1
        return gain if isfinite(gain) else DIVERGED

    def _dev_pass(self) -> tuple[Scores, Tensor]:
        outputs = self.distiller.outputs(self.world.dev.tokens)
        return score(outputs.logits, self.world.dev.label), last_layer_gradient(outputs, self.world.dev.label)

    def _observe(self) -> Observation:
        episode = self._begun()
        outputs = self.distiller.look(torch.from_numpy(episode.rows).to(self.distiller.device))
        return observe(self.world, self.columns, outputs, episode, self.steps, self.updates)

    def _blank(self) -> Observation:
        """After a diverged step there is no student to look with."""
        return {name: np.zeros_like(space.sample()) for name, space in self.observation_space.items()}
