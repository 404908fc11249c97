"""How numbers are written, the same in sentences, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable

from l2a_gym.experiment.report.statistics import Interval


def number(value: float, digits: int = 2) -> str:
    """A number with a fixed number of digits; nothing where there is none (nan), and no minus before a zero."""
    if value != value:
        return ""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def between(interval: Interval) -> str:
    """Points of accuracy: ``2.1 [1.2, 3.0]``; the value alone where it has no interval."""
    value, low, high = (number(each, 1) for each in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]" if low else value


def points(interval: Interval) -> str:
    """``2.1 points [1.2, 3.0]``."""
    value, space, bounds = between(interval).partition(" ")
    return f"{value} points{space}{bounds}"


def gained(gain: float, half: float) -> str:
    """``+2.1 \N{PLUS-MINUS SIGN} 0.9``; nothing for nan, and no half width where that is nan."""
    sign = "+" if number(gain, 1).strip("-0.") and gain > 0 else ""
    return sign + number(gain, 1) + (f" \N{PLUS-MINUS SIGN} {number(half, 1)}" if half == half else "")


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


def per_cent(share: float, digits: int = 0) -> str:
    """``59 %``, on one line; ``< 1 %`` and ``> 99 %`` where rounding would say none or all."""
    text = number(100 * share, digits)
    if 0 < share < 1 and float(text) in (0, 100):
        text = "< 1" if share < 0.5 else "> 99"
    return f"{text}\N{NO-BREAK SPACE}%"


def millions(count: int) -> str:
    """``22.7 M``, on one line."""
    return f"{count / 1e6:,.1f}\N{NO-BREAK SPACE}M"


def together(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
