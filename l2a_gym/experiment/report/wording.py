"""How numbers are written, the same in sentences, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable

from l2a_gym.experiment.report.statistics import Interval
from l2a_gym.experiment.rows import Key


def number(value: float, digits: int = 2) -> str:
    """A number with a fixed number of digits; nothing where there is none (nan), and no minus before a zero."""
    if value != value:
        return ""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def between(interval: Interval) -> str:
    """``0.21 [0.12, 0.30]``; the value alone where it has no interval."""
    if interval.low != interval.low:
        return number(interval.value)
    return f"{number(interval.value)} [{number(interval.low)}, {number(interval.high)}]"


def p_value(p: float) -> str:
    """Two significant digits, or that it is below 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def count(n: int, noun: str) -> str:
    """``1 task``, ``8 tasks``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(names: Iterable[object]) -> str:
    """Names with commas."""
    return ", ".join(map(str, names))


def either(values: Iterable[object]) -> str:
    """The value that all have, or those that some have: ``16 or 32``."""
    return " or ".join(dict.fromkeys(map(str, values)))


def at_seeds(seeds: Iterable[int]) -> str:
    """``seed 1``, ``seeds 1, 2``."""
    numbers = list(seeds)
    return f"seed{'s' * (len(numbers) > 1)} {listed(numbers)}"


def keys(found: Iterable[Key]) -> list[str]:
    """One line for each selector and its seeds: ``ppo at seeds 1, 2: hutto/amazon-64, hutto/nyt-64``."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for key in sorted(found, key=lambda key: (key.selector, key.task, key.seed)):
        seeds.setdefault((key.selector, key.task), []).append(key.seed)
    tasks: dict[tuple[str, str], list[str]] = {}
    for (selector, task), numbers in seeds.items():
        tasks.setdefault((selector, at_seeds(numbers)), []).append(task)
    return [f"{selector} at {numbers}: {listed(names)}" for (selector, numbers), names in tasks.items()]
