"""What ``l2a`` does around its commands: read the command line, show progress, put mistakes into one line."""

from __future__ import annotations

import logging
import os
import sys

import tyro

from l2a_gym.cache import refused
from l2a_gym.commands import COMMANDS
from l2a_gym.errors import UserError
from l2a_gym.wording import printable

ABOUT = "Learning to choose and weight texts for BERT distillation; l2a <command> --help lists the options."
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait give their processor to others
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
"""What libraries read as they are loaded, also in the processes that a command starts, unless the user says it."""


def main(*words: str) -> None:
    """Run ``l2a``; its command line is ``words``, which a script begins with, and what the user gave.

    Exits with 2 after a mistake in the input or a disk that can't be written, and with 130 after Ctrl-C.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _log_printable()
    sys.path.append(os.getcwd())  # where a selector named my_module:MySelector may lie
    try:
        _run([*words, *sys.argv[1:]])
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not refused(error):
            raise
        _fail(f"{error}: make room or give permission there")


def _run(words: list[str]) -> None:
    if words and words[0] in COMMANDS:
        tyro.cli(COMMANDS[words[0]], prog=f"l2a {words[0]}", args=words[1:])
    else:  # help, or a mistake
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="l2a", description=ABOUT, args=words)


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
