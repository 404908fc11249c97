"""The candidates: what every column says, recomputed here from the texts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l2a_gym.augment.config import LEXICAL, POOLS, PoolConfig
from l2a_gym.augment.lexical import EDITS, Lexical
from l2a_gym.augment.mix import Mix
from l2a_gym.augment.operator import Operator, Sides, Start
from l2a_gym.augment.pool import CandidatePool, draw_starts
from l2a_gym.augment.pool import make_pool as pool_of
from l2a_gym.augment.words import WordVectors
from l2a_gym.errors import UserError
from l2a_gym.tasks.task import UNLABELLED, Task, Texts

WORDS = [
    "good",
    "great",
    "fine",
    "bad",
    "poor",
    "dull",
    "film",
    "book",
    "song",
    "phone",
    "meal",
    "game",
    "story",
    "town",
    "camera",
    "room",
]


def texts(n: int, seed: int, pair: bool = False) -> Texts:
    rng = np.random.default_rng(seed)
    first, second = (tuple(" ".join(rng.choice(WORDS, size=rng.integers(4, 13))) for _ in range(n)) for _ in range(2))
    return Texts(first, rng.integers(0, 2, size=n), second if pair else None)


def task(pair: bool = False) -> Task:
    none = texts(0, 9, pair)
    return Task(
        id="made-up",
        target="films",
        labels=("bad", "good"),
        train=texts(12, 0, pair),
        dev=none,
        select=none,
        test=none,
        sources={"books": texts(20, 1, pair), "songs": texts(15, 2, pair)},
        flipped={"songs": np.arange(15) % 3 == 0},
    )


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    """All words but ``film`` and ``book`` have neighbours."""
    known = [word for word in WORDS if word not in ("film", "book")]
    return WordVectors(known, np.random.default_rng(0).normal(size=(len(known), 8)).astype(np.float32), 4)


class Numbered:
    """An operator that puts the number of the copy before a text."""

    def __init__(self, start: Start = "shots") -> None:
        self.start = start

    def units(self, text: str) -> list[str]:
        return text.split()

    def __call__(self, given: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
        return [(f"{i} {given.text[row]}",) for i, row in enumerate(rows)]


def make_pool(given: Task, config: PoolConfig, vectors: WordVectors, **options: Any) -> CandidatePool:
    operators: dict[str, Operator] = {name: Lexical(edit, vectors, config.share) for name, edit in EDITS.items()}
    operators["mix"] = Mix(vectors, config.share)
    return pool_of(given, config, operators, **options)


def copies_of(count: float, *names: str) -> dict[str, float]:
    return dict.fromkeys(names or LEXICAL, count)


def sides(given: Texts) -> list[tuple[str, ...]]:
    return list(zip(given.text, *([given.pair] if given.pair is not None else []), strict=True))


def same(a: CandidatePool, b: CandidatePool) -> bool:
    columns = ("domain", "operator", "parent", "edit_share", "flipped")
    equal = all(np.array_equal(getattr(a, name), getattr(b, name)) for name in columns)
    return equal and sides(a.texts) == sides(b.texts) and np.array_equal(a.texts.label, b.texts.label)


@pytest.mark.parametrize("pair", [False, True])
def test_sources_come_first_as_they_are(vectors: WordVectors, pair: bool) -> None:
    given = task(pair)
    pool = make_pool(given, PoolConfig(), vectors)
    assert sides(pool.texts)[:35] == sides(given.sources["books"]) + sides(given.sources["songs"])
    assert pool.texts.label[:35].tolist() == [*given.sources["books"].label, *given.sources["songs"].label]
    assert pool.domain[:35].tolist() == [1] * 20 + [2] * 15
    assert pool.parent[:35].tolist() == [*range(20), *range(15)]
    assert not pool.operator[:35].any()
    assert not pool.edit_share[:35].any()
    assert pool.flipped.tolist() == [False] * 20 + given.flipped["songs"].tolist() + [False] * (len(pool) - 35)


def common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common run, plus what is common on its left and on its right: difflib's matches."""
    best, start_a, start_b = 0, 0, 0
    for i in range(len(a)):
        for j in range(len(b)):
            k = 0
            while i + k < len(a) and j + k < len(b) and a[i + k] == b[j + k]:
                k += 1
            if k > best:
                best, start_a, start_b = k, i, j
    if not best:
        return 0
    left = common(a[:start_a], b[:start_b])
    return best + left + common(a[start_a + best :], b[start_b + best :])


@pytest.mark.parametrize("pair", [False, True])
def test_copies_know_where_they_come_from(vectors: WordVectors, pair: bool) -> None:
    given = task(pair)
    config = PoolConfig(copies=copies_of(6), share=0.2)
    pool = make_pool(given, config, vectors, seed=3)
    copies = sides(pool.texts)[35:]
    shots = sides(given.train)
    assert config.operators(False) == ("source", *LEXICAL)
    assert set(pool.operator[35:]) == {1, 2, 3, 4}
    assert not pool.domain[35:].any()
    for copy, parent, operator, share, label in zip(
        copies, pool.parent[35:], pool.operator[35:], pool.edit_share[35:], pool.texts.label[35:], strict=True
    ):
        assert label == given.train.label[parent]
        changed = [(old.split(), new.split()) for old, new in zip(shots[parent], copy, strict=True) if old != new]
        assert len(changed) == 1, "exactly one side differs"
        old, new = changed[0]
        edits = max(1, round(0.2 * len(old)))
        added, lost = Counter(new) - Counter(old), Counter(old) - Counter(new)
        name = config.operators(False)[operator]
        if name == "swap":
            assert not added
            assert not lost
        elif name == "delete":
            assert not added
            assert len(new) == len(old) - edits
        elif name == "insert":
            assert not lost
            assert len(old) < len(new) <= len(old) + edits
        else:
            assert len(new) == len(old)
            assert sum(a != b for a, b in zip(old, new, strict=True)) <= edits
            assert new.count("film") >= old.count("film")
            assert not {"film", "book"} & set(added)
        a, b = " ".join(shots[parent]).split(), " ".join(copy).split()
        assert share == pytest.approx(1 - 2 * common(a, b) / (len(a) + len(b)))
        assert 0 <= share < 1


def test_both_sides_of_pairs_are_edited(vectors: WordVectors) -> None:
    given = task(pair=True)
    pool = make_pool(given, PoolConfig(), vectors)
    changed = [
        [old != new for old, new in zip(sides(given.train)[parent], copy, strict=True)]
        for copy, parent in zip(sides(pool.texts)[35:], pool.parent[35:], strict=True)
    ]
    assert {tuple(each) for each in changed} == {(True, False), (False, True)}


@pytest.mark.parametrize("pair", [False, True])
def test_no_copy_has_the_words_of_a_shot_or_of_another_copy(vectors: WordVectors, pair: bool) -> None:
    given = task(pair)
    spaced = tuple(text.replace(" ", "  ", 1) for text in given.train.text)  # spacing makes no new text
    short = tuple(" ".join(text.split()[:2]) for text in given.train.pair) if given.train.pair else None
    given = replace(given, train=Texts(spaced, given.train.label, short))
    pool = make_pool(given, PoolConfig(copies=copies_of(40)), vectors)
    words = [tuple(tuple(side.split()) for side in each) for each in sides(given.train) + sides(pool.texts)[35:]]
    assert len(words) > 150
    assert [each for each, times in Counter(words).items() if times > 1] == []


def test_short_shots_that_every_operator_turns_into_the_same() -> None:
    """Two-word shots of two words and their swap, replaced by each other: the operators meet."""
    plane = np.array([[1, 0], [1, 0.1]], dtype=np.float32)
    given = replace(task(), train=Texts(("good great", "good"), np.array([1, 1])))
    pool = make_pool(given, PoolConfig(copies=copies_of(50)), WordVectors(["good", "great"], plane, 1))
    copies = pool.texts.text[35:]
    assert len(copies) == len(set(copies))
    assert not {"good great", "good"} & set(copies)
    assert {"great good", "great", "great great", "good good"} <= set(copies)


def test_seed_is_all_that_chance_depends_on(vectors: WordVectors) -> None:
    given = task()
    first = make_pool(given, PoolConfig(), vectors, seed=1)
    np.random.seed(5)  # noqa: NPY002 - the global stream must not matter
    assert same(first, make_pool(given, PoolConfig(), vectors, seed=1))
    other = make_pool(given, PoolConfig(), vectors, seed=2)
    assert other.texts.text[:35] == first.texts.text[:35]
    assert set(other.texts.text[35:]) != set(first.texts.text[35:])


def test_copies_per_shot_and_operator(vectors: WordVectors) -> None:
    for copies in (0, 1, 3):
        pool = make_pool(task(), PoolConfig(copies=copies_of(copies, "insert", "swap")), vectors)
        count = Counter(zip(pool.operator[35:].tolist(), pool.parent[35:].tolist(), strict=True))
        assert max(count.values(), default=0) == copies
        assert set(pool.operator.tolist()) == ({0, 1, 2} if copies else {0})


@pytest.mark.parametrize("pair", [False, True])
def test_sources_alone(vectors: WordVectors, pair: bool) -> None:
    for config in (PoolConfig(copies={}), PoolConfig(copies=copies_of(0))):
        pool = make_pool(task(pair), config, vectors)
        assert len(pool) == 35
        assert (pool.texts.pair is not None) == pair
    assert POOLS["sources"].operators(False) == ("source",)


def test_column_types(vectors: WordVectors) -> None:
    pool = make_pool(task(), PoolConfig(), vectors)
    assert [pool.domain.dtype, pool.operator.dtype, pool.parent.dtype, pool.texts.label.dtype] == [np.int64] * 4
    assert (pool.edit_share.dtype, pool.flipped.dtype) == (np.float32, np.bool_)
    columns = (pool.domain, pool.operator, pool.parent, pool.edit_share, pool.flipped)
    assert {len(column) for column in columns} == {len(pool)}


def test_a_share_of_the_texts_makes_copies(vectors: WordVectors) -> None:
    pool = make_pool(task(), PoolConfig(copies=copies_of(0.5, "insert")), vectors)
    assert sorted(Counter(pool.parent[35:].tolist()).values()) == [1] * 6
    assert Counter(Counter(draw_starts(12, 2.25, None, np.random.default_rng(0)).tolist()).values()) == {2: 9, 3: 3}


def test_preferred_texts_are_started_from(vectors: WordVectors) -> None:
    weight = np.zeros(47)
    weight[[35 + 2, 35 + 7]] = 1, 3
    pool = make_pool(task(), PoolConfig(copies=copies_of(40, "insert"), share=1.0), vectors, preference=weight)
    count = Counter(pool.parent[35:].tolist())
    assert set(count) == {2, 7}
    assert count[7] > 2 * count[2] > 0


def test_starts_are_drawn_in_proportion() -> None:
    rng = np.random.default_rng
    assert draw_starts(4, 2.5, None, rng(0)).tolist().count(0) in (2, 3)
    assert len(draw_starts(4, 2.5, None, rng(0))) == 10
    assert draw_starts(0, 3, None, rng(0)).tolist() == []
    rows = draw_starts(3, 2000, np.array([1.0, 0.0, 3.0]), rng(0))
    assert (rows == np.sort(rows)).all()
    assert np.bincount(rows) / 6000 == pytest.approx([0.25, 0, 0.75], abs=0.02)
    assert np.array_equal(draw_starts(3, 2, np.zeros(3), rng(0)), [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("pair", [False, True])
def test_texts_without_labels_stand_as_they_are_between_sources_and_copies(vectors: WordVectors, pair: bool) -> None:
    bare = replace(texts(3, 5, pair), label=np.full(3, UNLABELLED))
    given, config = replace(task(pair), unlabelled=bare), PoolConfig(copies=copies_of(2, "swap", "insert"))
    assert config.operators(unlabelled=True) == ("source", "swap", "insert", "unlabelled")
    pool = make_pool(given, config, vectors)
    assert sides(pool.texts)[35:38] == sides(bare)
    assert pool.texts.label[35:38].tolist() == [UNLABELLED] * 3
    assert (pool.domain[35:38].tolist(), pool.operator[35:38].tolist()) == ([0] * 3, [3] * 3)
    assert (pool.parent[35:38].tolist(), pool.edit_share[35:38].tolist()) == ([0, 1, 2], [0.0] * 3)
    assert not pool.flipped[35:38].any()
    assert same(pool.take(np.r_[:35, 38 : len(pool)]), make_pool(task(pair), config, vectors))


def test_no_copy_has_the_words_of_a_text_without_a_label() -> None:
    """The only swap of a shot of two words is such a text."""
    given = replace(task(), train=Texts(("good great",), np.array([1])))
    plane = WordVectors(["good", "great"], np.eye(2, dtype=np.float32), 1)
    config = PoolConfig(copies=copies_of(20, "swap"))
    assert make_pool(given, config, plane).texts.text[35:] == ("great good",)
    bare = Texts(("great  good",), np.array([UNLABELLED]))
    assert make_pool(replace(given, unlabelled=bare), config, plane).texts.text[35:] == ("great  good",)


def test_a_preference_has_no_weight_for_texts_without_labels(vectors: WordVectors) -> None:
    given = replace(task(), unlabelled=replace(texts(3, 5), label=np.full(3, UNLABELLED)))
    weight = np.zeros(47)
    weight[35 + 2] = 1
    pool = make_pool(given, PoolConfig(copies=copies_of(3, "insert")), vectors, preference=weight)
    assert set(pool.parent[38:].tolist()) == {2}
    with pytest.raises(UserError, match="the preference has 50 weights: valid is one for each text to start from, 47"):
        make_pool(given, PoolConfig(), vectors, preference=np.ones(50))


def test_what_is_made_of_a_flipped_text_is_flipped() -> None:
    config = PoolConfig(copies={"mlm-source": 2})
    pool = pool_of(task(), config, {"mlm-source": Numbered("sources")})
    sources = pool.operator == 0
    assert pool.flipped[sources].sum() == 5
    assert len(pool.texts.text) == 3 * 35
    keys = list(zip(pool.domain.tolist(), pool.parent.tolist(), strict=True))
    flipped = dict(zip(keys[:35], pool.flipped[:35].tolist(), strict=True))
    assert pool.flipped[35:].tolist() == [flipped[key] for key in keys[35:]]


def test_an_operator_that_breaks_its_interface_is_named() -> None:
    config, nowhere = PoolConfig(copies={"insert": 2}), Numbered()
    nowhere.start = "shot"  # type: ignore[assignment]
    with pytest.raises(UserError, match="unknown start of the operator insert 'shot': did you mean 'shots'"):
        pool_of(task(), config, {"insert": nowhere})

    class Short(Numbered):
        def __call__(self, given: Texts, rows: NDArray[np.int64], rng: np.random.Generator) -> list[Sides]:
            return super().__call__(given, rows, rng)[1:]

    with pytest.raises(UserError, match="the operator insert made 23 texts: valid is one for each row, 24"):
        pool_of(task(), config, {"insert": Short()})


def test_settings_that_are_not_valid() -> None:
    with pytest.raises(UserError, match=r"unknown operator 'insrt': did you mean 'insert'\? valid are swap, delete"):
        PoolConfig(copies={"swap": 1, "insrt": 1})
    with pytest.raises(UserError, match=r"copies of swap = -1: valid are numbers from 0"):
        PoolConfig(copies={"swap": -1})
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(UserError, match=r"share = .*: valid are numbers above 0, up to 1"):
            PoolConfig(share=share)
    with pytest.raises(UserError, match=r"unknown label policy 'teach': did you mean 'teacher'"):
        PoolConfig(labels="teach")
    with pytest.raises(UserError, match=r"there is no file nowhere.npy: preference names a .npy file, or is empty"):
        PoolConfig(preference="nowhere.npy")
    for name, value in (("batch", 0), ("updates", -1), ("share", 0.0), ("adapt_rate", float("nan"))):
        with pytest.raises(UserError, match=rf"{name} = {value}: valid are "):
            PoolConfig.from_setting({"masked_lm": {name: value}})


@pytest.mark.parametrize("content", [b"weights", [[1.0]], [1.0, -1.0], [float("nan")]], ids=str)
def test_a_preference_that_is_no_row_of_weights_is_named(content: bytes | list[float], tmp_path: Path) -> None:
    file = tmp_path / "preference.npy"
    file.write_bytes(content) if isinstance(content, bytes) else np.save(file, np.array(content))
    with pytest.raises(UserError, match=f"^the preference {file} "):
        PoolConfig(preference=str(file)).preferred()


def test_a_preference_has_a_weight_for_each_start(vectors: WordVectors) -> None:
    with pytest.raises(UserError, match="the preference has 46 weights: valid is one for each text to start from, 47"):
        make_pool(task(), PoolConfig(), vectors, preference=np.ones(46))


def test_a_pool_by_name_and_by_values() -> None:
    assert PoolConfig.from_setting("lexical") == PoolConfig()
    config = PoolConfig.from_setting({"copies": {"mix": 2}, "chain": {"mask_share": 0.5, "protected": ["not"]}})
    assert (config.copies, config.chain.mask_share, config.chain.protected) == ({"mix": 2}, 0.5, ("not",))
    assert config.chain.burn_in == PoolConfig().chain.burn_in
    for wrong, message in {
        "generate": "unknown pool 'generate': did you mean 'generated'",
        "chain": "unknown pool 'chain'",
    }.items():
        with pytest.raises(UserError, match=message):
            PoolConfig.from_setting(wrong)
    with pytest.raises(UserError, match=r"unknown pool chain setting 'sweeps'"):
        PoolConfig.from_setting({"chain": {"sweeps": 3}})
    with pytest.raises(UserError, match=r"pool labels = 3: valid are values like 'keep'"):
        PoolConfig.from_setting({"labels": 3})


@pytest.mark.parametrize("pair", [False, True])
def test_mixed_texts_stay_with_their_label(vectors: WordVectors, pair: bool) -> None:
    """Every word of a mixed text is its own, its partner's, or the word between them."""
    given = task(pair)
    pool = make_pool(given, PoolConfig(copies=copies_of(8, "mix"), share=0.5), vectors)
    shots, label = sides(given.train), given.train.label
    assert len(pool) > 100
    for new, parent in zip(sides(pool.texts)[35:], pool.parent[35:], strict=True):
        (changed,) = [i for i, (a, b) in enumerate(zip(shots[parent], new, strict=True)) if a != b]
        old, words = shots[parent][changed].split(), new[changed].split()
        assert len(words) == len(old)
        partners = [shots[i][changed].split() for i in np.flatnonzero(label == label[parent])]

        def explains(other: list[str], old: list[str] = old, words: list[str] = words) -> bool:
            changes = [i for i, (a, b) in enumerate(zip(old, words, strict=True)) if a != b]
            return all(i < len(other) and words[i] == (vectors.between(old[i], other[i]) or other[i]) for i in changes)

        assert any(explains(other) for other in partners)


def test_operators_that_make_nothing_are_named_once(vectors: WordVectors, caplog: pytest.LogCaptureFixture) -> None:
    """A text of one word can't be swapped; what was asked for no copies, and what made some, is not named."""
    words = Texts(("good", "bad", "poor"), np.zeros(3, dtype=np.int64))
    config = PoolConfig(copies={"swap": 2, "delete": 0, "insert": 1})
    make_pool(replace(task(), train=words), config, vectors)
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(":")[0] for message in messages] == ["swap made no new text"]
    caplog.clear()
    make_pool(task(), PoolConfig(), vectors)
    assert caplog.records == []


def test_what_shows_nothing_is_no_text(vectors: WordVectors) -> None:
    """Of a word and a soft hyphen between spaces, deletion leaves one or the other."""
    words = Texts(("good \u00ad",), np.zeros(1, dtype=np.int64))
    pool = make_pool(replace(task(), train=words), PoolConfig(copies={"delete": 20}), vectors)
    assert [text for text, made in zip(pool.texts.text, pool.operator > 0, strict=True) if made] == ["good"]
