"""Pictures of an episode: what is in them, and that they leave no trace."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l2a_gym.envs.toy import ToyEnv
from l2a_gym.envs.viewer import ansi, rgb_array

DOMAINS, OPERATORS = ("films", "books"), ("source", "swap")


@dataclass
class Moment:
    """A made-up moment: films x source was never shown."""

    t: int = 3
    metric: str = "nll"
    curve: list[float] = field(default_factory=lambda: [-0.7, -0.64, -0.68, -0.6])
    weight: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 3.0, 10.0, 0.0]))
    shown: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 4.0, 10.0, 8.0]))

    def info(self, domains: tuple[str, ...]) -> dict[str, Any]:
        return {"dev_nll": -self.curve[-1], "dev_accuracy": 0.75, "dev_macro_f1": 0.7, "train_loss": 0.5}


def test_text_shows_scores_mean_weights_and_curve() -> None:
    assert ansi(DOMAINS, OPERATORS, Moment()).splitlines() == [
        "step 3   nll 0.600   accuracy 0.750   macro F1 0.700   train loss 0.500",
        "",
        "mean weight  source    swap",
        "films                0.75 ▇",
        "books        1.00 █  0.00 ▁",
        "",
        "-nll on dev  -0.7000 ▁▅▂█ -0.6000",
    ]


def test_text_before_the_first_step_has_blank_cells_and_a_curve_of_one_point() -> None:
    moment = Moment(t=0, metric="accuracy", curve=[0.5], weight=np.zeros(4), shown=np.zeros(4))
    lines = ansi(DOMAINS, OPERATORS, moment).splitlines()
    assert lines[3:5] == ["films", "books"]
    assert lines[-1] == "accuracy on dev  0.5000 ▅ 0.5000"


def test_long_curve_fits_a_line_and_keeps_its_ends() -> None:
    moment = Moment(metric="macro_f1", curve=list(np.linspace(0, 1, 1000)))
    *_, line = ansi(DOMAINS, OPERATORS, moment).splitlines()
    bars = line.split(" ")[-2]
    assert len(bars) == 60
    assert list(bars) == sorted(bars)
    assert (bars[0], bars[-1]) == ("▁", "█")


def picture(moment: Moment) -> NDArray[np.uint8]:
    return rgb_array(DOMAINS, OPERATORS, moment)


def changed(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> tuple[int, int]:
    """First and last column of pixels that differ."""
    columns = np.flatnonzero((one != two).any(axis=(0, 2)))
    return int(columns[0]), int(columns[-1])


def test_picture_has_one_size_and_repeats() -> None:
    one, two = picture(Moment()), picture(Moment())
    assert one.dtype == np.uint8
    assert one.shape == picture(Moment(t=0, curve=[0.5], shown=np.zeros(4))).shape == (360, 900, 3)
    assert np.array_equal(one, two)


def test_weights_are_drawn_left_and_the_curve_right() -> None:
    plain = picture(Moment())
    weights = picture(Moment(weight=np.array([0.0, 1.0, 10.0, 0.0])))
    assert changed(plain, weights)[1] < 500
    curve = picture(Moment(curve=[-0.7, -0.68, -0.64, -0.6]))
    assert changed(plain, curve)[0] > 500


def test_more_weight_is_a_deeper_blue_and_an_unseen_cell_has_none() -> None:
    image = picture(Moment(weight=np.array([0.0, 0.0, 10.0, 8.0]))).astype(int)
    blue = (image[..., 2] - image[..., 0])[50:300, 60:440]
    rows, columns = np.nonzero(blue > 60)  # full weight: the two cells of books, below
    assert rows.min() > 100
    assert columns.min() < 20
    assert columns.max() > 350
    assert blue[:100].max() < 20


def test_names_are_taken_as_they_are() -> None:
    """A name with dollar signs is no formula."""
    assert rgb_array((r"$\broken{$", "b"), ("$x^$", "c"), Moment()).shape == (360, 900, 3)


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    code = (
        "import sys\n"
        "from l2a_gym.envs.toy import ToyEnv\n"
        "env = ToyEnv(render_mode='rgb_array')\n"
        "assert 'matplotlib' not in sys.modules\n"
        "env.reset(seed=0)\n"
        "env.render()\n"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules, 'torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True", "False", "False"]


@pytest.mark.parametrize("mode", ["ansi", "rgb_array", None])
def test_environment_draws_by_its_render_mode(mode: str | None) -> None:
    env = ToyEnv(render_mode=mode)
    env.reset(seed=0)
    env.step(np.ones(32, dtype=np.float32))
    drawn = env.render()
    if mode is None:
        assert drawn is None
    elif mode == "ansi":
        assert isinstance(drawn, str)
        assert drawn.count("1.00 █") == 3  # one operator a domain
    else:
        assert isinstance(drawn, np.ndarray)
        assert drawn.shape == (360, 900, 3)
