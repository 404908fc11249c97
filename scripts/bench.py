"""Measure speed: one table of ratios and figures on this machine."""

from l2a_gym.cli import run_cli
from l2a_gym.speed.bench import Bench, bench

if __name__ == "__main__":
    run_cli(Bench, bench)
