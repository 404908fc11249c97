"""Play the recorded actions of a benchmark's rows again, and confirm or refute what the rows say."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from l2a_gym.cli import run_cli
from l2a_gym.errors import check_least, check_seed
from l2a_gym.experiment.replay import replay
from l2a_gym.experiment.rows import read_rows


@dataclass(frozen=True)
class Arguments:
    """Replay rows; exits with 1 where one is refuted.

    Attributes:
        file: rows of a benchmark, such as runs/benchmark-core/rows.jsonl.
        sample: how many rows to draw; 0 for all.
        seed: of the draw.
        tolerance: the largest difference of a number that still confirms; 0 suits the kind of processor that made the
            rows.
    """

    file: Annotated[Path, tyro.conf.Positional]
    sample: int = 0
    seed: int = 0
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        check_least("sample", self.sample, 0)
        check_seed(self.seed)


def main(arguments: Arguments) -> None:
    rows = read_rows(arguments.file)
    if 0 < arguments.sample < len(rows):
        drawn = np.random.default_rng(arguments.seed).choice(len(rows), arguments.sample, replace=False)
        rows = [rows[i] for i in sorted(drawn)]
    findings = []
    for finding in replay(rows, arguments.tolerance):
        findings.append(finding)
        print(f"{len(findings)}/{len(rows)} {finding}", flush=True)
    refuted = sum(not finding.confirmed for finding in findings)
    print(f"{len(findings) - refuted} of {len(findings)} rows confirmed")
    sys.exit(1 if refuted else 0)


if __name__ == "__main__":
    run_cli(Arguments, main)
