"""What a training run is: its settings, its folder, its environment and its selector."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from l2a_agents.selector import MakeEnv, Selector, Spaces

from l2a_gym.cache import check_replaceable, damaged
from l2a_gym.checked import digest_of
from l2a_gym.distill.student import student_names
from l2a_gym.envs.distill_aug import DistillAugEnv
from l2a_gym.errors import UserError, check_choice, check_least, check_seed
from l2a_gym.experiment.selectors import load_class

ENVIRONMENT = "l2a_gym:L2A-Distill-v0"
METHOD: dict[str, dict[str, Any]] = {
    "l2a": {"pool": "generated", "export_student": "pruned", "export_steps": 200},
}
"""What a selector's name asks for besides itself: the whole method teaches a better start for longer, on more texts."""
USUAL: dict[str, Any] = {"pool": "lexical", "export_steps": 100}
"""What the others get."""
SHAPING = ("algo", "task", "seed", "teacher", "student", "checkpoint", "metric", "pool", "general_updates", "rounds")
"""Settings that make another run of a run; the others say how long it trains, and how it is evaluated."""
PROGRESS = "progress.json"
"""The file beside a selector's own that says what its training spent."""
FOLDERS = ("selector", "student", "pool")
"""What a run writes as a whole, and replaces."""
FILES = (
    *FOLDERS,
    *("versions.json", "record.jsonl", "tensorboard", "comparison.json", "exported.json", "policy.json"),
    *("summary.json", "evaluation.json", "round-1"),
)
"""What a run leaves in its folder besides its config.json."""


@dataclass(frozen=True)
class Run:
    """A training run; the attributes are the command line of ``scripts/train_agent.py``.

    Attributes:
        algo: a registered selector, or my_module:MySelector.
        task: a task id or the path of a task file.
        budget: student updates and dev passes to spend on training.
        seed: of the selector's training.
        num_envs: students that learn side by side while the selector is trained.
        device: auto, cpu, cuda or cuda:<i>.
        teacher: whose logits teach the student: few-shot or all-data.
        student: that of the environment: tiny, ratio, tinybert or pruned.
        checkpoint: the teacher's checkpoint: embedded, a hub id or a local folder.
        metric: of the reward: nll, accuracy or macro_f1.
        pool: what the candidates are made of: sources, lexical, generated, or the path of a .json file; by default
            generated for l2a and lexical for the others.
        general_updates: at most this many updates of the student's general distillation before the first episode; 0 for
            none.
        rounds: how often the selector is trained; before each further time the pool is made anew, and the all-data
            teacher tuned again, from the texts that the selector prefers.
        student_seeds: students trained per selector in the comparison.
        export_student: the exported one, of the same kinds; by default pruned for l2a, and for the others as student.
        export_steps: steps of the episode that trains it; by default 200 for l2a and 100 for the others.
        out: the run folder; by default runs/<task>-<algo>-s<seed>.
    """

    algo: str = "ppo"
    task: str = "hutto/nyt-64-noise40"
    budget: int = 5000
    seed: int = 0
    num_envs: int = 2
    device: str = "auto"
    teacher: str = "few-shot"
    student: str = "tiny"
    checkpoint: str = "embedded"
    metric: str = "nll"
    pool: str = ""
    general_updates: int = 800
    rounds: int = 1
    student_seeds: int = 5
    export_student: str = ""
    export_steps: int | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        for name, value in METHOD.get(self.algo, USUAL).items():
            if getattr(self, name) in (None, ""):
                object.__setattr__(self, name, value)
        if self.export_student:
            check_choice("student", self.export_student, student_names())
        else:
            object.__setattr__(self, "export_student", self.student)
        for name in ("budget", "num_envs", "rounds", "student_seeds", "export_steps"):
            check_least(name, getattr(self, name))
        check_least("general_updates", self.general_updates, 0)
        check_seed(self.seed)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out or Path("runs") / f"{task_slug(self.task)}-{self.algo.replace(':', '-')}-s{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"out": str(self.folder)}

    def make_env(self, **options: Any) -> MakeEnv:
        """Makes this run's environments; ``options`` are laid over the run's own."""
        names = ("task", "device", "teacher", "student", "checkpoint", "metric", "pool", "general_updates")
        settings = {name: getattr(self, name) for name in names}
        return MakeEnv(ENVIRONMENT, **settings | options)

    def environment(self, **options: Any) -> DistillAugEnv:
        """The run's environment without wrappers; ``options`` are laid over the run's own."""
        env = self.make_env(**options)().unwrapped
        assert isinstance(env, DistillAugEnv)
        return env


def task_slug(task: str) -> str:
    """A task's part of a folder's name."""
    return Path(task).stem if task.endswith(".toml") else task.replace("/", "-")


def load_run(folder: Path) -> Run:
    """The run whose folder this is.

    Raises:
        UserError: it is not a run folder.
    """
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Run(**settings | {"out": folder})
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} is not a run folder: its config.json can't be read ({error})") from error


def check_same_run(run: Run) -> None:
    """Refuse a folder that holds another run, or files of the user's where the run's are going to lie.

    A larger budget, and other ways to evaluate, are the same run.

    Raises:
        UserError: names the first setting that differs, or the user's file.
    """
    if (run.folder / "config.json").exists():
        earlier = load_run(run.folder).as_dict()
        for name, value in run.as_dict().items():
            if name in SHAPING and earlier[name] != value:
                found = f"{name} = {earlier[name]!r}"
                raise UserError(f"{run.folder} holds a run with {found}: give another folder with --out")
    elif found := next((name for name in FILES if (run.folder / name).exists()), ""):
        raise UserError(f"{run.folder} holds {found}, and no config.json of a run: give another folder with --out")
    for name in FOLDERS:
        check_replaceable(run.folder / name)


def selector_key(run: Run) -> str:
    """Of what run a trained selector is, wherever the run's folder lies."""
    settings = run.as_dict()
    return digest_of({name: settings[name] for name in SHAPING} | {"pool": Path(run.pool).name})


def load_selector(run: Run) -> Selector:
    """The trained selector of a run.

    Raises:
        UserError: there is none, it is damaged, or its training has not come to its end.
    """
    folder = run.folder / "selector"
    if not folder.is_dir():
        raise UserError(f"{run.folder} holds no trained selector: train it with scripts/train_agent.py")
    if lost := damaged(folder, selector_key(run)):
        raise UserError(f"{folder} is damaged ({', '.join(lost)}): the command that began the run trains it anew")
    progress = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    if not progress["finished"]:
        raise UserError(
            f"the training in {run.folder} stopped after {progress['spent']} of {run.budget} units: "
            "finish it with the command that began it"
        )
    selector = new_selector(run)
    selector.load(folder)
    return selector


def new_selector(run: Run, name: str | None = None) -> Selector:
    """An untrained selector for a run's environment: the run's own, or another by name.

    Raises:
        UserError: there is none of this name, or it can't do with what the environment shows.
    """
    kind = load_class(name or run.algo)
    try:
        return kind(Spaces.of(run.environment(**kind.env_options)))
    except ValueError as error:
        if ":" in (name or run.algo):
            raise
        raise UserError(str(error)) from error


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {name: version(name) for name in ("l2a-gym", "torch", "transformers", "gymnasium", "numpy")}
