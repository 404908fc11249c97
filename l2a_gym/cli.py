"""What every script does around its one call: read the command line, show progress, put mistakes into one line."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import TypeVar

import transformers
import tyro

from l2a_gym.cache import refused
from l2a_gym.errors import UserError
from l2a_gym.wording import printable

T = TypeVar("T")


def run_cli(config: type[T], main: Callable[[T], object]) -> None:
    """Parse ``config`` from the command line and call ``main`` with it.

    Exits with 2 after a mistake in the input or a disk that can't be written, and with 130 after Ctrl-C.
    """
    _log_printable()
    quieten()
    sys.path.append(os.getcwd())  # where a selector named my_module:MySelector may lie
    try:
        main(_parse(config))
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not refused(error):
            raise
        _fail(f"{error}: make room or give permission there")


def _fail(sentence: str) -> None:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)


class _Printable(logging.Formatter):
    """Messages hold names of files and tasks, whose escapes are no business of the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(record.getMessage())


def _log_printable() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("l2a_gym").setLevel(logging.INFO)


def quieten() -> None:
    """Keep transformers from talking between our own lines; a process that is begun by others starts with it too."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _parse(config: type[T]) -> T:
    """The command line; of the box that tyro draws around a mistake, the sentences remain.

    Raises:
        UserError: an option or a value that is not valid.
    """
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(config)
    except SystemExit as end:
        if end.code != 2:
            raise
        lines = [line.strip("│|╭╮╰╯+ ") for line in box.getvalue().splitlines()]
        said = [line for line in lines if line.strip("─-") and not line.startswith(("─", "For full helptext"))]
        raise UserError(re.sub(r"^Value error Error parsing \w+: ", "", " ".join(said))) from None
