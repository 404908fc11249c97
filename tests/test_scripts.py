"""The scripts' command lines: mistakes end with 2 and a sentence, and leave nothing behind."""

from __future__ import annotations

import errno
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from l2a_gym.cli import run_cli
from l2a_gym.experiment.run import Run
from l2a_gym.experiment.runner import train

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, and leave the module path as it was."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path])


def call(
    name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int | None, str, str]:
    """Run a script in this process; returns its exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", [f"scripts/{name}.py", *arguments])
    code: Any = None
    try:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    except SystemExit as end:
        code = end.code
    out, errors = capsys.readouterr()
    return code, out, errors


def flags(**options: str) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", value)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "reinforc"}, "error: unknown selector 'reinforc': did you mean 'reinforce'? valid are none, "),
        ({"task": "hutto/nyt-65"}, "error: unknown task 'hutto/nyt-65': did you mean 'hutto/nyt-64'? valid are "),
        ({"metric": "f1"}, "error: unknown metric 'f1': did you mean 'macro_f1'? valid are nll, accuracy, macro_f1"),
        ({"student": "tinny"}, "error: unknown student 'tinny': did you mean 'tiny'? valid are "),
        ({"teacher": "fewshot"}, "error: unknown teacher 'fewshot': did you mean 'few-shot'? valid are "),
        ({"device": "gpu"}, "error: unknown device 'gpu': valid are auto, cpu, cuda and cuda:<i>"),
    ],
)
def test_an_unknown_choice_is_one_line_that_names_the_nearest(
    small: dict[str, Any],
    change: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, errors = call("train_agent", flags(**{**small, "algo": "none", **change}), monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert errors.startswith(message)
    assert errors.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_where_there_is_none(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, errors = call("train_agent", flags(**{**small, "device": "cuda"}), monkeypatch, capsys)
    assert (code, errors) == (2, "error: device 'cuda' is not there: this machine has 0 GPUs; use auto or cpu\n")
    assert list(Path().iterdir()) == []


def test_a_cache_that_cannot_be_written(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "file" / "cache"))
    for script in ("train_agent", "prepare"):
        code, _, errors = call(script, flags(**small), monkeypatch, capsys)
        assert code == 2
        assert errors.startswith(f"error: the cache folder {tmp_path}/file/cache can't be written (")
        assert errors.endswith("): set L2A_CACHE to another\n")
        assert errors.count("\n") == 1
        assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algoo", "ppo"], "--algo"),
        (["--budget", "-5"], "budget = -5: valid are whole numbers from 1"),
        (["--num-envs", "0"], "num_envs = 0: valid are whole numbers from 1"),
        (["--seed", "one"], "--seed"),
        (["--seed", "1e23"], "--seed"),
        (["--seed", "1" + 23 * "0"], "seed = 1"),
        (["--task", "a\x1b[31m\n\u202e.toml"], r"a\x1b[31m\n\u202e.toml"),
    ],
)
def test_a_command_line_that_cannot_be_read_names_the_option(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, errors = call("train_agent", arguments, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("script", ["train_agent", "prepare"])
def test_a_check_prints_the_data_and_stops(
    small: dict[str, Any],
    script: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    code, out, errors = call(script, [*flags(**small), "--check"], monkeypatch, capsys)
    assert (code, errors) == (None, "")
    assert out.startswith(f"data of {small['task']}\ntexts ")
    assert "films  books  songs\n" in out
    assert "\nwarning: films is too small to tell students apart by accuracy" in out
    assert list(Path().iterdir()) == []
    assert not (tmp_path / "cache").exists()
    code, out, errors = call(script, ["--check", "--task", "hutto/nyt-65"], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert errors.startswith("error: unknown task 'hutto/nyt-65': did you mean")


def test_an_evaluation_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, errors = call("evaluate", [], monkeypatch, capsys)
    assert errors == "error: no run is given: name one or more run folders\n"
    _, _, errors = call("evaluate", ["run", "--students", "0"], monkeypatch, capsys)
    assert errors == "error: students = 0: valid are whole numbers from 1\n"


def test_a_diagnosis_of_an_unknown_task_makes_no_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, errors = call("diagnose", ["--task", "hutto/nit-64"], monkeypatch, capsys)
    assert code == 2
    assert "did you mean" in errors
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("script", ["evaluate", "export_student"])
def test_what_is_not_a_run_folder_is_named(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, errors = call(script, ["nowhere"], monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert errors.startswith("error: nowhere is not a run folder: its config.json can't be read")
    assert errors.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_the_scripts_take_up_a_finished_run(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(algo="similarity", **small, student_seeds=1, export_steps=2, num_envs=1, out=Path("run"))
    summary = train(run)
    capsys.readouterr()
    code, out, _ = call("export_student", ["run", "--to", "copy"], monkeypatch, capsys)
    assert code is None
    assert f"copy: dev accuracy {summary['exported']['dev_accuracy']:.4f}" in out
    one, two = (Path(folder, "model.safetensors").read_bytes() for folder in ("run/student", "copy"))
    assert one == two

    Path("other").mkdir()
    Path("other", "letter.txt").write_text("dear all")
    code, _, errors = call("export_student", ["run", "--to", "other"], monkeypatch, capsys)
    assert code == 2
    assert errors == (
        "error: other would be replaced, and holds what L2A-Gym did not write: move it away or name another folder\n"
    )
    assert Path("other", "letter.txt").read_text() == "dear all"

    with monkeypatch.context() as inside:
        inside.chdir("copy")
        code, _, errors = call("export_student", ["../run", "--to", "."], inside, capsys)
    assert (code, errors) == (2, "error: . would be replaced, and this command runs in it: give a new folder\n")
    assert Path("copy", "model.safetensors").read_bytes() == two

    code, out, _ = call("evaluate", ["run", "--students", "1"], monkeypatch, capsys)
    assert code is None
    assert "selector (similarity)" in out
    arguments = flags(**{**small, "algo": "none", "out": "run"})
    code, _, errors = call("train_agent", arguments, monkeypatch, capsys)
    assert (code, errors) == (
        2,
        "error: run holds a run with algo = 'similarity': give another folder with --out\n",
    )


@dataclass(frozen=True)
class Nothing:
    """No arguments."""


def test_a_disk_that_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: Nothing) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def gone(_: Nothing) -> None:
        raise FileNotFoundError("no such thing")

    monkeypatch.setattr(sys, "argv", ["script"])
    with pytest.raises(SystemExit, match="2"):
        run_cli(Nothing, full)
    said = "error: [Errno 28] No space left on device: make room or give permission there\n"
    assert capsys.readouterr().err == said
    with pytest.raises(FileNotFoundError):
        run_cli(Nothing, gone)


def test_as_a_program(small: dict[str, Any]) -> None:
    command = [sys.executable, str(SCRIPTS / "train_agent.py"), *flags(**{**small, "algo": "orcale"})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: unknown selector 'orcale': did you mean 'oracle'? valid are ")
    assert "Traceback" not in done.stderr
    assert list(Path().iterdir()) == []
