"""The method with one part changed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FULL = "full"
"""The variant that all are compared with."""


@dataclass(frozen=True)
class Variant:
    """The method with one part changed.

    Attributes:
        name: its name in the table.
        run: settings of the run that differ.
        teacher: whose logits teach the final student; None: the chosen one.
        distillation: values of the final student's distillation that differ.
        phrases: of each labelled text; None: as many as the task's exported student has.
    """

    name: str
    run: Mapping[str, Any] = field(default_factory=dict)
    teacher: str | None = None
    distillation: Mapping[str, float] = field(default_factory=dict)
    phrases: int | None = None


SOURCES = {"pool": "sources"}
UNIFORM = {"algo": "uniform", "rounds": 1}  # without a preference there is nothing to make the pool anew from
VARIANTS = (
    Variant(FULL),
    Variant("without generator", SOURCES),
    Variant("without selector", UNIFORM),
    Variant("without both", {**SOURCES, **UNIFORM}),
    Variant("without general distillation", {"general_updates": 0}),
    Variant("without phrases", phrases=0),
    Variant("hard labels only", distillation={"alpha": 0.0}, phrases=0),  # a phrase has no label but the teacher's
    Variant("soft labels only", distillation={"alpha": 1.0}),
    Variant("few-shot teacher", teacher="few-shot"),
    Variant("all-data teacher", teacher="all-data"),
)
