"""An exported student goes to a model hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from l2a_gym.cache import SEAL
from l2a_gym.errors import UserError


def check_hub_id(name: str) -> None:
    """Refuse what can't be the name of a repository, such as a path.

    Raises:
        UserError: says why.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(f"{name!r} is not a hub id ({error}): valid are names such as me/my-student") from error


def push(folder: Path, name: str) -> str:
    """Upload an exported folder, card included, to the hub that ``HF_ENDPOINT`` names; returns where it is.

    The repository is made unless it is there, as a public one, and the user's token is that of ``hf auth login`` or
    ``HF_TOKEN``.

    Raises:
        UserError: the hub can't be reached, or refuses it. The folder stays as it is.
    """
    api = HfApi()
    try:
        url = api.create_repo(name, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, ignore_patterns=[SEAL], commit_message="A student distilled with L2A-Gym"
        )
    except (HTTPError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{folder} could not be pushed to {name} ({reason}): it stays, for hf upload {name} {folder}"
        ) from error
    return str(url)
