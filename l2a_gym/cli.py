"""What every script does around its one call: read the command line, show progress, put mistakes into one line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

import transformers
import tyro

from l2a_gym.errors import UserError

T = TypeVar("T")


def run_cli(config: type[T], main: Callable[[T], object]) -> None:
    """Parse ``config`` from the command line and call ``main`` with it.

    Exits with 2 after a mistake in the input, and with 130 after Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("l2a_gym").setLevel(logging.INFO)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    sys.path.append(os.getcwd())  # where a selector named my_module:MySelector may lie
    try:
        main(tyro.cli(config))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
