"""How far a long computation is: a bar on a terminal, whole lines in a file."""

from __future__ import annotations

import time
from io import StringIO

import pytest

from l2a_gym import progress
from l2a_gym.progress import progress_bar


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(file: StringIO, updates: int = 200, **options: bool) -> list[str]:
    """The lines of a computation that says at each of its updates how it goes."""
    with progress_bar(total=updates, desc="training", unit="unit", file=file, **options) as bar:
        for i in range(updates):
            time.sleep(0.001)
            bar.update()
            bar.set_postfix(gain=f"{i / updates:.3f}")
    return file.getvalue().splitlines()


def test_a_file_gets_whole_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    file, begin = StringIO(), time.monotonic()
    lines = run(file)
    most = (time.monotonic() - begin) / 0.02 + 1
    assert 5 <= len(lines) <= most
    assert all(line.startswith("training: ") and "/200 [" in line and "<" in line for line in lines)
    assert [line.count("/200 [") for line in lines] == [1] * len(lines)
    done = [int(line.partition("/200 [")[0].split()[-1]) for line in lines]
    assert done == sorted(done)
    assert lines[-1].startswith("training: 100% 200/200 [")
    assert lines[-1].endswith("unit/s, gain=0.995]")
    assert not set("\r\x1b|") & set(file.getvalue())
    assert file.getvalue().endswith("]\n")


def test_a_short_computation_is_one_line() -> None:
    (line,) = run(StringIO(), 3)
    assert line.startswith("training: 100% 3/3 [00:00<00:00, ")


def test_one_that_a_terminal_forgets_is_told_only_if_it_was_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(StringIO(), 3, leave=False) == []
    monkeypatch.setattr(progress, "EVERY", 0.02)
    lines = run(StringIO(), leave=False)
    assert len(lines) > 1
    assert lines[-1].startswith("training: 100% 200/200 [")


def test_an_interrupted_one_says_how_far_it_came() -> None:
    file = StringIO()
    updates = (i if i < 4 else 1 // 0 for i in range(10))
    with pytest.raises(ZeroDivisionError):
        list(progress_bar(updates, total=10, desc="training", file=file))
    assert file.getvalue().startswith("training:  40% 4/10 [")
    assert file.getvalue().count("\n") == 1


def test_nested_ones_and_messages_between_them_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    file = StringIO()
    for _ in progress_bar(range(2), desc="outer", file=file):
        with progress_bar(range(3), desc="inner", file=file) as inner:
            assert list(inner) == [0, 1, 2]
            inner.write("a message")
    assert [line.partition(" [")[0] for line in file.getvalue().splitlines()] == [
        *["inner: 100% 3/3"] * 2,
        "outer: 100% 2/2",
    ]
    assert capsys.readouterr() == ("a message\n" * 2, "")


def test_stderr_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar(range(2), desc="counting")) == [0, 1]
    assert capsys.readouterr().err.startswith("counting: 100% 2/2 [")


@pytest.mark.parametrize("file", [StringIO, Terminal])
def test_a_disabled_one_is_silent(file: type[StringIO]) -> None:
    assert run(file(), 3, disable=True) == []


def test_a_terminal_gets_a_bar() -> None:
    file = Terminal()
    run(file)
    first, *_, last = file.getvalue().rstrip("\n").split("\r")[1:]
    assert first.startswith("training:   0%|")
    assert last.startswith("training: 100%|###")
    assert "200/200 [" in last
    assert file.getvalue().count("\n") == 1
