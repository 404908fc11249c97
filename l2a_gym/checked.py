"""Files of our own that tell when they were damaged: each holds the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a_gym.cache import write_bytes, write_text

DIGEST = "sha256"
"""The key of the digest of all other values."""


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values (for JSON, without the key ``sha256``) and their digest beside ``path``, and rename it there."""
    write_text(path, json.dumps({**values, DIGEST: digest_of(values)}, indent=1))


def read_json(path: Path) -> dict[str, Any] | None:
    """The values that :func:`write_json` wrote; None where the file is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = values.pop(DIGEST)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return values if found == digest_of(values) else None


def digest_of(values: Any) -> str:
    """SHA-256 of values for JSON, in whatever order their keys stand."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a ``.npy`` file beside ``path``, with its digest behind the array, and rename it there."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())


def read_array(path: Path) -> NDArray[Any] | None:
    """The array that :func:`write_array` wrote; None where the file is missing or damaged."""
    whole = path.read_bytes() if path.is_file() else b""
    content, digest = whole[:-32], whole[-32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array
