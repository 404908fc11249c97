"""The package that ``docs/extending.md`` builds, as if it was installed, and packages that are wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2a_gym.augment.config import OPERATORS, PoolConfig
from l2a_gym.cache import cache_dir
from l2a_gym.distill.device import resolve_device
from l2a_gym.errors import UserError
from l2a_gym.experiment.adapter import DistillAdapter
from l2a_gym.experiment.conformance import SelectorConformance
from l2a_gym.experiment.job import Job, attempt
from l2a_gym.experiment.references import LEARN, references
from l2a_gym.experiment.rows import Row
from l2a_gym.experiment.selectors import SELECTORS, load_class
from l2a_gym.plugins import Registry
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.stages import stages
from l2a_gym.tasks.registry import FAMILIES, make_task, outline, task_ids

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
FILES = dict(re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', PAGE.read_text(encoding="utf-8"), re.M | re.S))
"""Title -> content, of the code blocks of the page."""
PROJECT = tomllib.loads(FILES["pyproject.toml"])["project"]
ENTRIES: dict[str, dict[str, str]] = PROJECT["entry-points"]
REGISTRIES: list[Registry[Any]] = [OPERATORS, FAMILIES, LEARN, SELECTORS]
TASK = "example/cafes-16"
Install = Callable[..., None]
Call = Callable[..., tuple[int | None, str, str]]


def metadata(folder: Path, name: str, version: str, entries: Mapping[str, Mapping[str, str]]) -> None:
    """What pip leaves of an installed package besides its modules."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = [line for group, each in entries.items() for line in (f"[{group}]", *map(" = ".join, each.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package with these entries for a test."""

    def begin(name: str, version: str, entries: Mapping[str, Mapping[str, str]]) -> None:
        folder = tmp_path / f"{name}-{version}"
        metadata(folder, name, version, entries)
        monkeypatch.syspath_prepend(folder)

    return begin


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of the module path with the package of the page."""
    folder = tmp_path_factory.mktemp("site")
    metadata(folder, PROJECT["name"], PROJECT["version"], ENTRIES)
    (folder / "l2a_example").mkdir()
    for title, content in FILES.items():
        if title.startswith("l2a_example/"):
            (folder / title).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def settings(small: dict[str, Any]) -> dict[str, Any]:
    own = {"device": "cpu", "general_updates": 20, "pool": {"copies": {"crop": 4}}}
    return {"checkpoint": small["checkpoint"], **own}


@pytest.fixture(scope="module")
def row(settings: dict[str, Any]) -> Row:
    """One of each, on a task that is prepared in seconds."""
    row = attempt(Job(TASK, "both-believe@frozen", seed=0, budget=0, students=1, settings=settings))
    assert isinstance(row, Row), row
    return row


def test_the_page_adds_one_of_each() -> None:
    assert {*ENTRIES} == {registry.group for registry in REGISTRIES}
    assert all(len(each) == 1 for each in ENTRIES.values())


def test_a_task_is_as_its_outline_says() -> None:
    assert {TASK, "example/cafes-32", "hutto/nyt-64"} <= {*task_ids()}
    task, plan = make_task(TASK), outline(TASK)
    assert (task.id, len(task.train), task.domains) == (TASK, 16, plan.domains)
    assert (task.budget, task.labels) == (plan.budget, plan.labels)


def test_a_selector_is_scored_on_that_task(row: Row) -> None:
    assert list(row.domain_share) == ["cafes", "hotels"]
    assert list(row.operator_share) == ["source", "crop"]
    assert sum(row.operator_share["crop"]) > 0
    assert row.versions["l2a-example"] == PROJECT["version"]


def test_a_reference_stands_in_the_row(row: Row) -> None:
    task = make_task(TASK)
    frequent = np.bincount(task.train.label).argmax()
    assert row.classifiers["majority"].test_accuracy == (task.test.label == frequent).mean()
    assert row.classifiers["majority"].labels == 16


def test_an_operator_fills_the_pool(row: Row, settings: dict[str, Any]) -> None:
    prepared, shots = DistillAdapter(TASK, settings).prepared, make_task(TASK).train.text
    assert prepared.manifest()["versions"]["l2a-example"] == PROJECT["version"]
    made = prepared.pool().filter(lambda each: each["operator"] == 1)
    assert 16 <= len(made) <= 2 * 16
    for text, parent in zip(made["text"], made["parent"], strict=True):
        assert f" {text} " in f" {shots[parent]} "
        assert len(text.split()) == len(shots[parent].split()) - 1


def test_figures_of_another_version_are_computed_again(row: Row, install: Install, settings: dict[str, Any]) -> None:
    def kept(name: str) -> int:
        return len([*(cache_dir() / "figures").rglob(f"{name}.json")])

    adapter = DistillAdapter(TASK, settings)
    task, prepared = adapter.task, adapter.prepared
    before = kept("majority"), kept("TF-IDF")
    install(PROJECT["name"], "0.2", ENTRIES)
    assert references(task, prepared)["majority"].labels == 16
    assert (kept("majority"), kept("TF-IDF")) == (before[0] + 1, before[1])


class TestBothBelieve(SelectorConformance):
    selector = "both-believe"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--algo", "both-belive"], "unknown selector 'both-belive': did you mean 'both-believe'? valid are none, "),
        (["--task", "example/cafes-61"], "did you mean 'example/cafes-16'? valid are example/cafes-16, example/"),
        (["--task", "exampl/cafes-16"], ", example/..., a path to a task file (*.toml)"),
        (["--pool", "crap.json"], "unknown operator 'crap': did you mean 'crop'? valid are swap, delete, "),
    ],
)
def test_errors_list_the_names(
    l2a: Call, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("crap.json").write_text(FILES["crop.json"].replace("crop", "crap"), encoding="utf-8")
    code, _, error = l2a("train", *words)
    assert code == 2
    assert message in error


def test_nothing_is_imported_before_it_is_named(site: Path) -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(site)!r})\n"
        "from l2a_gym.augment.config import OPERATORS, PoolConfig\n"
        "from l2a_gym.commands import check_names\n"
        "from l2a_gym.experiment.selectors import SELECTORS, load_class\n"
        "from l2a_gym.tasks.registry import FAMILIES, make_task\n"
        "listed = [*OPERATORS, *FAMILIES, *SELECTORS]\n"
        "def loaded(): return sorted(name for name in sys.modules if name.startswith('l2a_example.'))\n"
        "PoolConfig(copies={'crop': 1})\n"
        "check_names(['hutto/nyt-64'], ['pgpe'])\n"
        "for wrong in ('hutto/nyt-65', 'exampl/cafes-16'):\n"
        "    try: make_task(wrong)\n"
        "    except ValueError: pass\n"
        "print({'crop', 'example', 'both-believe'} <= {*listed}, *loaded())\n"
        "load_class('both-believe')\n"
        "print(*loaded())\n"
        "make_task('example/cafes-16')\n"
        "print(*loaded())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "l2a_example.selectors", "l2a_example.selectors l2a_example.tasks"]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_name_that_is_taken_twice_is_refused(registry: Registry[Any], install: Install) -> None:
    own = next(iter(registry.own))
    install("first", "1.0", {registry.group: {"taken-twice": "first_module:thing", own: "first_module:other"}})
    install("second", "2.0", {registry.group: {"taken-twice": "second_module"}})
    assert [*registry][: len(registry.own)] == [*registry.own]
    assert {*registry} == {*registry.own, *ENTRIES[registry.group], "taken-twice"}
    assert len(registry) == len(registry.own) + 2
    with pytest.raises(
        UserError, match=rf"{registry.kind} 'taken-twice' is taken twice, by the package first 1\.0 \(first_mo"
    ):
        registry["taken-twice"]
    with pytest.raises(UserError, match=r"by the package second 2\.0 \(second_module\): one of them needs another"):
        registry["taken-twice"]
    with pytest.raises(UserError, match=rf"'{own}' is taken twice, by l2a-gym .* and by the package first 1\.0 \("):
        registry[own]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_package_that_cannot_be_imported_is_named(registry: Registry[Any], install: Install) -> None:
    install("broken", "0.3", {registry.group: {"broken": "no_such_module:thing", "less": "json:no_such_thing"}})
    named = re.escape(f"{registry.kind} 'broken' of the package broken 0.3 (no_such_module:thing) can't be imported: ")
    with pytest.raises(UserError, match=f"^{named}ModuleNotFoundError: No module named 'no_such_module'$"):
        registry["broken"]
    with pytest.raises(UserError, match="AttributeError: module 'json' has no attribute 'no_such_thing'"):
        registry["less"]
    with pytest.raises(KeyError):
        registry["more"]


def test_what_names_a_broken_package_ends_with_a_sentence(install: Install, l2a: Call) -> None:
    groups = ("l2a_gym.selectors", "l2a_gym.task_families")
    install("broken", "0.3", {group: {"broken": "no_such_module:thing"} for group in groups})
    for words in (["--algo", "broken"], ["--algo", "broken@frozen"], ["--task", "broken/one"]):
        code, _, error = l2a("train", *words)
        assert code == 2
        assert "'broken' of the package broken 0.3 (no_such_module:thing) can't be imported: " in error
    with pytest.raises(UserError, match=r"^selector 'broken' of the package broken 0\.3"):
        load_class("broken")


def test_a_version_is_in_the_keys_of_what_depends_on_it(install: Install, small: dict[str, Any]) -> None:
    task = make_task(small["task"])

    def keys(*operators: str) -> dict[str, str]:
        pool = PoolConfig(copies=dict.fromkeys(operators, 1))
        config = Preparation(checkpoint=small["checkpoint"], pool=pool)
        return {name: stage.key for name, stage in stages(task, config, resolve_device("cpu")).items()}

    install("one", "1.0", {"l2a_gym.operators": {"mine": "json"}})
    before, own = keys("swap", "mine"), keys("swap")
    install("one", "1.1", {"l2a_gym.operators": {"mine": "json"}})  # comes before the other on the path
    after = keys("swap", "mine")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"pool", "tokens", "answers", "signals", "student"}
    assert keys("swap") == own
