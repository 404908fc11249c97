"""The command ``l2a``: mistakes end with 2 and a sentence, at once, and leave nothing behind."""

from __future__ import annotations

import errno
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from l2a_gym import cli, commands
from l2a_gym.commands import COMMANDS
from l2a_gym.experiment import train as experiment
from l2a_gym.experiment.settings import Run
from l2a_gym.experiment.train import train

SCRIPTS = Path(__file__).parent.parent / "scripts"
OWN = """
from dataclasses import dataclass
from l2a_agents.selector import Fixed

@dataclass(frozen=True)
class Config:
    share: float = 0.5
    kind: str = "linear"

class Mine(Fixed):
    config_class = Config
"""

Call = Callable[..., tuple[int | None, str, str]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder; the module path stays as it was."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_help_and_mistakes_load_no_torch() -> None:
    lines = [
        "--help",
        "trian",
        "train --algoo ppo",
        "train --seed one",
        "train --metric f1",
        "train --algo orcale",
        "train --task hutto/nyt-65",
        "train --task no.toml",
        "train --device gpu",
        "train --pool lexicl",
        "train --algo reinforce --help",
        "train --algo nowhere:Mine --selector.share 1",
        "prepare --student tinny",
        "benchmark --tasks hutto/nyt-65",
        "benchmark --selectors none reinforc",
        "ablate --variants ful",
        "bench --parts stp",
        *(f"{name} --help" for name in COMMANDS),
    ]
    code = (
        "import sys\n"
        "from l2a_gym.cli import main\n"
        f"for line in {lines}:\n"
        "    sys.argv = ['l2a', *line.split()]\n"
        "    try: main()\n"
        "    except SystemExit as end: print(line, end.code, file=sys.stderr)\n"
        "print('loaded', *{'torch', 'transformers', 'datasets', 'sklearn', 'scipy'} & {*sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"
    for line in lines:
        assert f"{line} {0 if line.endswith('--help') else 2}\n" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert list(Path().iterdir()) == []


def test_help_has_a_sentence_for_each_command(l2a: Call) -> None:
    code, out, _ = l2a("--help")
    assert code == 0
    text = " ".join(out.replace("│", " ").split())
    for name, command in COMMANDS.items():
        assert f"• {name} {str(command.__doc__).splitlines()[0]}" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algo": "reinforc"}, "error: unknown selector 'reinforc': did you mean 'reinforce'? valid are none, "),
        ({"algo": "nowhere:Mine"}, "error: selector 'nowhere:Mine': No module named 'nowhere'"),
        ({"task": "hutto/nyt-65"}, "error: unknown task 'hutto/nyt-65': did you mean 'hutto/nyt-64'? valid are "),
        ({"device": "gpu"}, "error: unknown device 'gpu': valid are auto, cpu, cuda and cuda:<i>"),
        ({"pool": "lexicl"}, "error: unknown pool 'lexicl': did you mean 'lexical'? valid are sources, lexical, "),
        ({"budget": "-5"}, "error: budget = -5: valid are whole numbers from 1"),
        ({"num-envs": "0"}, "error: num_envs = 0: valid are whole numbers from 1"),
        ({"seed": "1" + 23 * "0"}, "error: seed = 1"),
        ({"seeds": "-1"}, "error: seed = -1: valid are whole numbers from 0"),
        ({"task": "a\x1b[31m\n\u202e.toml"}, r"error: the task file 'a\x1b[31m\n\u202e.toml"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_nearest(l2a: Call, options: dict[str, str], message: str) -> None:
    code, out, errors = l2a("train", **options)
    assert (code, out) == (2, "")
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trian"], "Available subcommands: train, evaluate, "),
        (["train", "--algoo", "ppo"], "--algo STR"),
        (["train", "--seed", "one"], "--seed"),
        (["train", "--seed", "1e23"], "--seed"),
        (["train", "--metric", "f1"], "'macro_f1'"),
        (["train", "--selector.sigm", "1"], "--selector.sigm"),
        (["prepare", "--student", "tinny"], "'tinybert'"),
        (["export"], "PATH"),
    ],
)
def test_what_cannot_be_parsed_is_named(l2a: Call, words: list[str], named: str) -> None:
    code, out, errors = l2a(*words)
    assert (code, out) == (2, "")
    assert named in errors
    assert list(Path().iterdir()) == []


WHERE = ("task", "checkpoint", "device")
"""Options of all commands that open a task."""


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_where_there_is_none(l2a: Call, small: dict[str, Any]) -> None:
    code, _, errors = l2a("train", **{**small, "device": "cuda"})
    assert code == 2
    assert errors.endswith("error: device 'cuda' is not there: this machine has 0 GPUs; use auto or cpu\n")
    assert list(Path().iterdir()) == []


def test_a_cache_that_cannot_be_written(
    l2a: Call, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "file" / "cache"))
    for command in ("train", "prepare"):
        code, _, errors = l2a(command, **{name: small[name] for name in WHERE})
        assert code == 2
        said = errors.splitlines()[-1]  # behind what transformers shows, which was loaded before the command
        assert said.startswith(f"error: the cache folder {tmp_path}/file/cache can't be written (")
        assert said.endswith("): set L2A_CACHE to another")
        assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_a_check_prints_the_data_and_stops(
    l2a: Call, small: dict[str, Any], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    code, out, errors = l2a(command, "--check", **{name: small[name] for name in WHERE})
    assert (code, errors) == (None, "")
    assert out.startswith(f"data of {small['task']}\ntexts ")
    assert "films  books  songs\n" in out
    assert "\nwarning: films is too small to tell students apart by accuracy" in out
    assert list(Path().iterdir()) == []
    assert not (tmp_path / "cache").exists()


def test_an_evaluation_of_nothing_is_refused(l2a: Call) -> None:
    assert l2a("evaluate") == (2, "", "error: no run is given: name one or more run folders\n")
    assert l2a("evaluate", "run", students="0") == (2, "", "error: students = 0: valid are whole numbers from 1\n")


def test_a_diagnosis_of_an_unknown_task_makes_no_folder(l2a: Call) -> None:
    code, _, errors = l2a("diagnose", task="hutto/nit-64")
    assert code == 2
    assert "did you mean" in errors
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_what_is_not_a_run_folder_is_named(l2a: Call, command: str) -> None:
    code, out, errors = l2a(command, "nowhere")
    assert (code, out) == (2, "")
    assert errors.startswith("error: nowhere is not a run folder: its config.json can't be read")
    assert errors.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_selector_of_ones_own_has_settings_of_its_own(l2a: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_settings.py").write_text(OWN)
    runs: list[Run] = []
    monkeypatch.setattr(experiment, "train", runs.append)
    monkeypatch.setattr(experiment, "train_seeds", lambda run, seeds: runs.extend([run] * len(seeds)))
    code, out, _ = l2a("train", "--help", algo="own_settings:Mine")
    assert code == 0
    assert "--selector.share FLOAT" in out
    l2a("train", algo="own_settings:Mine")
    l2a("train", "--algo=own_settings:Mine", "--selector.share=0.25", "--selector.kind", "linear")
    l2a("train", "--selector.share", "1", "--seeds", "3", "4", algo="own_settings:Mine")
    assert [run.selector for run in runs] == [{}, {"share": 0.25}, {"share": 1.0}, {"share": 1.0}]
    code, _, errors = l2a("train", "--selector.sharp", "1", algo="own_settings:Mine")
    assert code == 2
    assert "--selector.share FLOAT" in errors


@pytest.mark.parametrize("error", ["ValueError", "ImportError", "AttributeError", "ModuleNotFoundError"])
def test_an_error_in_a_selector_of_ones_own_keeps_its_traceback(l2a: Call, error: str) -> None:
    Path(f"own_{error}.py").write_text(f"raise {error}('in the module')\n")
    with pytest.raises(__builtins__[error], match="in the module"):
        l2a("train", algo=f"own_{error}:Mine")


def test_a_class_that_a_module_lacks_is_named(l2a: Call) -> None:
    Path("own_module.py").write_text(OWN)
    code, _, errors = l2a("train", algo="own_module:Yours")
    assert (code, errors) == (2, "error: selector 'own_module:Yours': module 'own_module' has no attribute 'Yours'\n")


def test_a_finished_run_is_taken_up(l2a: Call, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    summary = train(Run(algo="similarity", **small, students=1, export_steps=2, out=Path("run")))
    code, out, _ = l2a("export", "run", to="copy")
    assert code is None
    assert f"copy: dev accuracy {summary['exported']['dev_accuracy']:.4f}" in out
    one, two = (Path(folder, "model.safetensors").read_bytes() for folder in ("run/student", "copy"))
    assert one == two

    Path("other").mkdir()
    Path("other", "letter.txt").write_text("dear all")
    assert l2a("export", "run", to="other") == (
        2,
        "",
        "error: other would be replaced, and holds what L2A-Gym did not write: move it away or name another folder\n",
    )
    assert Path("other", "letter.txt").read_text() == "dear all"

    with monkeypatch.context() as inside:
        inside.chdir("copy")
        code, _, errors = l2a("export", "../run", to=".")
    assert (code, errors) == (2, "error: . would be replaced, and this command runs in it: give a new folder\n")
    assert Path("copy", "model.safetensors").read_bytes() == two

    code, out, _ = l2a("evaluate", "run", students="1")
    assert code is None
    assert "similarity" in out
    code, _, errors = l2a("train", **{**small, "algo": "none", "out": "run"})
    assert (code, errors.splitlines()[-1]) == (
        2,
        "error: run holds a run with algo = 'similarity': give another folder with --out",
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(errno.ENOSPC, "No space left"), 2, "error: [Errno 28] No space left: make room or give permission"),
        (KeyboardInterrupt(), 130, "stopped; what was finished is kept"),
    ],
)
def test_what_ends_a_command(
    l2a: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(commands.COMMANDS, "bench", fail)
    ended, _, errors = l2a("bench")
    assert ended == code
    assert errors.startswith(message)


def test_a_bug_keeps_its_traceback(l2a: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError("no such thing")

    monkeypatch.setitem(commands.COMMANDS, "bench", fail)
    with pytest.raises(FileNotFoundError):
        l2a("bench")


def test_each_script_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(cli, "main", called.append)
    for script in SCRIPTS.glob("*.py"):
        runpy.run_path(str(script), run_name="__main__")
    assert sorted(called) == sorted(COMMANDS)


@pytest.mark.parametrize("program", [[str(SCRIPTS / "train_agent.py")], ["-m", "l2a_gym", "train"]])
def test_as_a_program(program: list[str]) -> None:
    command = [sys.executable, *program, "--algo", "orcale"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown selector 'orcale': did you mean 'oracle'? valid are ")
    assert done.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []
