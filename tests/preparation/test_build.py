"""The prepared folder: built once, gone on with, checked, mended, and the same from the same input."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from l2a_gym.augment.config import PoolConfig
from l2a_gym.augment.settings import MaskedTraining
from l2a_gym.cache import SEAL, sha256_of
from l2a_gym.distill.checkpoint import load_tokenizer
from l2a_gym.distill.encode import Tokens, encode
from l2a_gym.distill.heads import VectorClassifier
from l2a_gym.distill.student import GeneralDistillation
from l2a_gym.distill.teacher import predict
from l2a_gym.errors import UserError
from l2a_gym.preparation.build import prepare
from l2a_gym.preparation.config import Preparation
from l2a_gym.preparation.store import TUNED, Prepared, read_candidates, read_teacher
from l2a_gym.preparation.write_pool import seen_pieces
from l2a_gym.tasks.registry import make_task
from l2a_gym.tasks.task import Task, Texts

CPU = torch.device("cpu")
STAGES = [
    *("all-data", "answers", "base", "cross-fitted", "few-shot", "out-of-fold"),
    *("pool", "signals", "student", "tokens"),
]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, task: Task, config: Preparation) -> Prepared:
    """The small task prepared in a cache of its own; for reading only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2A_CACHE", str(tmp_path_factory.mktemp("built")))
        return prepare(task, config, CPU)


@pytest.fixture
def cache(empty: Path, built: Prepared) -> Path:
    """A cache folder that holds a copy of what was built."""
    shutil.copytree(built.folder.parent, empty / "prepared")
    return empty


@pytest.fixture(scope="module")
def task(small: dict[str, Any]) -> Task:
    return make_task(small["task"])


def times(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def hashes(folder: Path) -> dict[str, str]:
    """Of what was written; seals hold the stages' keys as well."""
    return {name: sha256_of(folder / name) for name in times(folder) if Path(name).name != SEAL}


def stages_of(names: set[str]) -> list[str]:
    return sorted({name.split("/")[0] for name in names})


def prepared_folders(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "prepared").iterdir() if path.suffix != ".lock")


def test_second_call_opens_what_the_first_built(empty: Path, task: Task, config: Preparation) -> None:
    first = prepare(task, config, CPU)
    before = times(first.folder)
    assert first.folder.parent == empty / "prepared"
    second = prepare(task, config, CPU)
    assert second.folder == first.folder
    assert times(second.folder) == before
    assert prepared_folders(empty) == [first.folder.name]


def relabelled(texts: Texts) -> Texts:
    return replace(texts, label=np.concatenate([[1 - texts.label[0]], texts.label[1:]]))


def reworded(texts: Texts) -> Texts:
    return replace(texts, text=(texts.text[0] + " indeed", *texts.text[1:]))


def with_source(task: Task, change: Callable[[Texts], Texts]) -> Task:
    return replace(task, sources={**task.sources, "books": change(task.sources["books"])})


TASKS: dict[str, Callable[[Task], Task]] = {
    "label of a shot": lambda task: replace(task, train=relabelled(task.train)),
    "text of a shot": lambda task: replace(task, train=reworded(task.train)),
    "label in dev": lambda task: replace(task, dev=relabelled(task.dev)),
    "label of a source": lambda task: with_source(task, relabelled),
    "text of a source": lambda task: with_source(task, reworded),
    "length": lambda task: replace(task, max_length=12),
    "class names": lambda task: replace(task, labels=("bad", "good")),
}
CONFIGS: dict[str, Callable[[Preparation], Preparation]] = {
    "seed": lambda config: replace(config, seed=1),
    "pool": lambda config: replace(config, pool=PoolConfig(share=0.3)),
    "operators": lambda config: replace(config, pool=PoolConfig(copies={"swap": 4})),
    "fine-tuning": lambda config: replace(config, few_shot=replace(config.few_shot, updates=4)),
    "general": lambda config: replace(config, general=GeneralDistillation(updates=3, batch=16)),
}


def test_a_task_file_is_the_same_by_whatever_path(cache: Path, task: Task, config: Preparation) -> None:
    assert task.id.endswith(".toml")
    before = prepared_folders(cache)
    prepare(replace(task, id=f"elsewhere/{Path(task.id).name}"), config, CPU)
    assert prepared_folders(cache) == before


@pytest.mark.parametrize("name", TASKS)
def test_another_task_gets_another_folder(cache: Path, task: Task, config: Preparation, name: str) -> None:
    folder = prepare(TASKS[name](task), config, CPU).folder
    assert len({*prepared_folders(cache), folder.name}) == len(prepared_folders(cache)) == 2


@pytest.mark.parametrize("name", CONFIGS)
def test_another_configuration_gets_another_folder(cache: Path, task: Task, config: Preparation, name: str) -> None:
    other = CONFIGS[name](config)
    prepared = prepare(task, other, CPU)
    assert prepared.manifest()["config"] == json.loads(json.dumps(asdict(other)))
    assert len(prepared_folders(cache)) == 2


def test_another_checkpoint_in_the_same_place_gets_another_folder(
    empty: Path, tmp_path: Path, task: Task, config: Preparation
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(config.checkpoint, teacher)
    config = replace(config, checkpoint=str(teacher))
    first = prepare(task, config, CPU).folder
    weights = bytearray((teacher / "model.safetensors").read_bytes())
    weights[-100] ^= 1
    (teacher / "model.safetensors").write_bytes(bytes(weights))
    assert prepare(task, config, CPU).folder != first


def test_same_input_gives_the_same_bytes(empty: Path, built: Prepared, task: Task, config: Preparation) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    folder = prepare(task, config, CPU).folder
    assert torch.equal(torch.get_rng_state(), before)
    assert folder.parent != built.folder.parent
    assert folder.name == built.folder.name
    assert hashes(folder) == hashes(built.folder)


def test_a_stage_damaged_before_the_manifest_was_written(
    cache: Path, task: Task, config: Preparation, caplog: pytest.LogCaptureFixture
) -> None:
    folder = prepare(task, config, CPU).folder
    content = hashes(folder)
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "student")
    file = folder / "few-shot" / "logits.npy"
    file.write_bytes(file.read_bytes()[:-400] + bytes(400))
    with caplog.at_level(logging.WARNING, "l2a_gym"):
        prepare(task, config, CPU)
    assert f"{folder / 'few-shot'} is damaged: building it again" in caplog.messages
    assert hashes(folder) == content


@pytest.mark.parametrize("missing", STAGES)
def test_interrupted_build_goes_on(cache: Path, task: Task, config: Preparation, missing: str) -> None:
    folder = prepare(task, config, CPU).folder
    before, content = times(folder), hashes(folder)
    shutil.rmtree(folder / missing)
    (folder / "manifest.json").unlink()
    assert prepare(task, config, CPU).folder == folder
    after = times(folder)
    assert stages_of({name for name in after if after[name] != before.get(name)}) == sorted(["manifest.json", missing])
    assert hashes(folder) == content


def test_stage_that_fails_leaves_the_finished_ones(empty: Path, task: Task, config: Preparation) -> None:
    with pytest.raises(UserError, match="unknown student 'tinny': did you mean 'tiny'"):
        prepare(task, replace(config, student="tinny"), CPU)
    (folder,) = (empty / "prepared" / name for name in prepared_folders(empty))
    assert sorted(p.name for p in folder.iterdir()) == ["pool"]
    before = times(folder)
    with pytest.raises(UserError, match="unknown student"):
        prepare(task, replace(config, student="tinny"), CPU)
    assert times(folder) == before


def test_teacher_that_cannot_be_had_leaves_nothing(
    empty: Path, tmp_path: Path, task: Task, config: Preparation
) -> None:
    with pytest.raises(UserError, match=r"the teacher .* can't be loaded"):
        prepare(task, replace(config, checkpoint=str(tmp_path / "no" / "teacher")), CPU)
    assert [path for path in (empty / "prepared").rglob("*") if path.suffix != ".lock" and path.is_file()] == []


READ_ONLY = """
import errno, os, sys
from l2a_gym.errors import UserError
from l2a_gym.preparation.build import prepare

def refuse(event, arguments):
    changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.link")
    if event == "open":
        changes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if changes and str(arguments[0]).startswith(cache) and not os.path.isdir(arguments[0]):
        raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))

os.environ["L2A_CACHE"] = cache
sys.addaudithook(refuse)
try:
    pipe.send(str(prepare(task, config, device).folder))
except UserError as error:
    pipe.send(f"error: {error}")
"""
WAITING = """
import os
from l2a_gym.preparation.build import prepare

os.environ["L2A_CACHE"] = cache
pipe.send("ready")
pipe.recv()
pipe.send(str(prepare(task, config, device).folder))
"""


def test_a_complete_cache_on_a_read_only_disk_is_read_and_another_is_named(
    empty: Path, task: Task, config: Preparation, built: Prepared, begin: Callable[..., Any]
) -> None:
    empty.mkdir()
    names = {"task": task, "config": config, "device": CPU}
    whole, nothing = (begin(READ_ONLY, cache=str(each), **names)[1] for each in (built.folder.parents[1], empty))
    assert whole.recv() == str(built.folder)
    said = nothing.recv()
    assert said.startswith("error: ")
    assert "can't be written (Read-only file system): make room or give permission there, or name another" in said
    assert list(empty.iterdir()) == []


def test_two_processes_at_once_and_one_that_is_killed(
    empty: Path, task: Task, config: Preparation, begin: Callable[..., Any]
) -> None:
    """A process killed in a stage leaves the stages before; then two at once go on and end with one intact folder."""
    config = replace(config, all_data=replace(config.all_data, updates=200, looks=1))
    killed, other = (begin(WAITING, cache=str(empty), task=task, config=config, device=CPU) for _ in range(2))
    for _, pipe in (killed, other):
        assert pipe.recv() == "ready"
    killed[1].send("go")
    while not list(empty.glob("prepared/*/few-shot")):
        assert killed[0].is_alive()
        time.sleep(0.005)
    killed[0].kill()
    killed[0].join()
    (folder,) = (empty / "prepared" / name for name in prepared_folders(empty))
    before = {name: when for name, when in times(folder).items() if not name.startswith(".")}
    assert stages_of(set(before)) == ["base", "few-shot", "pool", "tokens"]
    other[1].send("go")
    mine = prepare(task, config, CPU)
    assert other[1].recv() == str(folder) == str(mine.folder)
    assert prepared_folders(empty) == [folder.name]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*STAGES, "manifest.json"])
    assert {name: when for name, when in times(folder).items() if name in before} == before
    assert_intact(mine)


def assert_intact(prepared: Prepared) -> None:
    listed = prepared.manifest()["files"]
    assert listed == {name: sha for name, sha in hashes(prepared.folder).items() if name != "manifest.json"}
    assert stages_of(set(listed)) == STAGES


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "flipped byte": ("tokens/ids.npy", flip_a_byte),
    "truncated": ("student/model.safetensors", lambda file: file.write_bytes(file.read_bytes()[:1000])),
    "empty": ("few-shot/logits.npy", lambda file: file.write_bytes(b"")),
    "gone": ("signals/similarity.npy", lambda file: file.unlink()),
    "arrow": ("pool/data-00000-of-00001.arrow", flip_a_byte),
    "layout": ("tokens/layout.json", lambda file: file.write_text("{}")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_file_costs_its_stage(
    cache: Path, task: Task, config: Preparation, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    folder = prepare(task, config, CPU).folder
    before, content = times(folder), hashes(folder)
    file, damage = DAMAGES[name]
    damage(folder / file)
    with caplog.at_level(logging.WARNING, "l2a_gym"):
        prepare(task, config, CPU)
    stage = file.split("/")[0]
    assert [record.getMessage() for record in caplog.records if record.name == "l2a_gym.preparation.build"] == [
        f"{folder / stage} is damaged: building it again"
    ]
    after = times(folder)
    assert stages_of({each for each in after if after[each] != before[each]}) == sorted(["manifest.json", stage])
    assert hashes(folder) == content


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"files": 3}', '{"files": {"tokens/ids.npy": 1}}', "\xff"]
)
def test_damaged_manifest(
    cache: Path, task: Task, config: Preparation, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    folder = prepare(task, config, CPU).folder
    content = hashes(folder)
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with caplog.at_level(logging.WARNING, "l2a_gym"):
        prepared = prepare(task, config, CPU)
    assert "is damaged: building it again" in caplog.text
    assert str(folder) in caplog.text
    assert hashes(folder) == content
    assert_intact(prepared)


def test_nothing_but_a_damaged_manifest(cache: Path, task: Task, config: Preparation) -> None:
    folder = prepare(task, config, CPU).folder
    content = hashes(folder)
    for stage in STAGES:
        shutil.rmtree(folder / stage)
    (folder / "manifest.json").write_text("{")
    prepare(task, config, CPU)
    assert hashes(folder) == content


def test_manifest(built: Prepared, task: Task, config: Preparation) -> None:
    manifest = built.manifest()
    assert manifest["task"] == task.id
    assert manifest["domains"] == ["films", "books", "songs"]
    assert manifest["operators"] == ["source", "swap", "delete", "insert", "replace"]
    assert manifest["labels"] == ["negative", "positive"]
    assert manifest["config"] == json.loads(json.dumps(asdict(config)))
    packages = ("torch", "transformers", "tokenizers", "numpy")
    assert manifest["versions"] == {name: version(name) for name in packages}
    assert manifest["parameters"]["student"] == sum(p.numel() for p in built.student().parameters())
    assert_intact(built)


def test_nothing_is_pickled(built: Prepared) -> None:
    suffixes = {path.suffix for path in built.folder.rglob("*") if path.is_file() and path.name != SEAL}
    assert suffixes == {".npy", ".json", ".safetensors", ".arrow"}
    arrays = list(built.folder.rglob("*.npy"))
    assert len(arrays) >= 15
    for path in arrays:
        assert np.load(path, allow_pickle=False).dtype != object


@pytest.mark.parametrize("below", ["file", "file/cache"])
def test_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Task, config: Preparation, below: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("L2A_CACHE", str(tmp_path / below))
    with pytest.raises(UserError, match=r"the cache folder .* can't be written \(.+\): set L2A_CACHE to another"):
        prepare(task, config, CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_rows_are_the_parts_one_after_the_other(built: Prepared, task: Task) -> None:
    parts = {"train": task.train, "dev": task.dev, "select": task.select, "test": task.test}
    assert list(built.rows) == ["pool", *parts]
    end = 0
    for name, rows in built.rows.items():
        assert (rows.start, rows.step) == (end, None)
        end = rows.stop
        assert rows.stop - rows.start == len(parts[name] if name in parts else built.pool())
    pieces = built.tokenizer().convert_ids_to_tokens(range(len(built.tokenizer())))
    arrays = ("tokens/ids", "tokens/length", "tokens/first", "tokens/label", "answers/few-shot", "answers/all-data")
    assert {len(built.array(name)) for name in arrays} == {end}
    assert len(built.array("answers/vectors")) == built.rows["dev"].stop
    for name, texts in parts.items():
        part = built.labelled(built.rows[name])
        assert part.label.tolist() == texts.label.tolist()
        assert not hasattr(part, "teacher")
        for text, ids, length in zip(texts.text, part.tokens.ids.tolist(), part.tokens.length.tolist(), strict=True):
            letters = "".join(pieces[i].removeprefix("##") for i in ids[1 : length - 1])
            assert text.replace(" ", "").startswith(letters)
            assert ids[length:] == [part.tokens.pad] * (len(ids) - length)
    pool = built.taught(built.rows["pool"], "all-data")
    assert pool.label.tolist() == list(built.pool()["label"])
    assert pool.teacher.shape == (len(pool.label), 2)
    np.testing.assert_array_equal(pool.teacher.numpy(), built.array("answers/all-data")[built.rows["pool"]])


def test_arrays_are_mapped_and_small(built: Prepared, task: Task) -> None:
    ids = built.array("tokens/ids")
    assert isinstance(ids, np.memmap)
    assert (ids.dtype, ids.shape[1]) == (np.uint16, task.max_length)
    with pytest.raises(ValueError, match="read-only"):
        ids[0, 0] = 1


def test_pool_on_disk(built: Prepared, task: Task) -> None:
    pool = built.pool()
    source = np.array(pool["operator"]) == 0
    assert list(pool["text"][: source.sum()]) == [text for each in task.sources.values() for text in each.text]
    assert np.array(pool["flipped"])[source].tolist() == np.concatenate(list(task.flipped.values())).tolist()
    assert not np.array(pool["flipped"])[~source].any()
    parents = [task.train.label[p] for p, s in zip(pool["parent"], source, strict=True) if not s]
    assert np.array(pool["label"])[~source].tolist() == parents


def test_student_fits_the_tokens(built: Prepared, task: Task, config: Preparation) -> None:
    student = built.student()
    assert student.config.vocab_size == len(built.tokenizer()) == len(built.array("tokens/kept"))
    assert student.config.id2label == {0: "negative", 1: "positive"}
    assert student.config.max_position_embeddings == task.max_length
    assert student.config.pad_token_id == built.tokenizer().pad_token_id


def test_labels_of_test_and_select_reach_nothing_but_their_own_rows(
    empty: Path, built: Prepared, task: Task, config: Preparation
) -> None:
    own = {"tokens/label.npy", "manifest.json"}
    judge = {f"cross-fitted/{name}.npy" for name in ("weight", "bias", "frozen")} | {"answers/cross-fitted.npy"}
    for split, reached in (("test", own), ("select", own | judge)):
        texts = getattr(task, split)
        blind = replace(task, **{split: replace(texts, label=1 - texts.label)})
        a, b = hashes(built.folder), hashes(prepare(blind, config, CPU).folder)
        assert {name for name in a if a[name] != b[name]} == reached


@pytest.mark.parametrize("policy", ["teacher", "agree"])
def test_label_policies(empty: Path, task: Task, config: Preparation, policy: str) -> None:
    prepared = prepare(task, replace(config, pool=PoolConfig(labels=policy)), CPU)
    rows, pool = prepared.rows["pool"], prepared.pool()
    given, made = np.array(pool["label"]), np.array(pool["operator"]) > 0
    teacher = prepared.logits("all-data", rows).argmax(1).numpy()
    usable, label = prepared.array("signals/usable"), prepared.labels(rows).numpy()
    assert label[~made].tolist() == given[~made].tolist()
    assert usable[~made].all()
    assert (teacher != given)[made].any()
    assert label[made].tolist() == (teacher if policy == "teacher" else given)[made].tolist()
    assert usable[made].tolist() == [policy == "teacher" or bool(same) for same in (teacher == given)[made]]
    assert prepared.labels(prepared.rows["test"]).tolist() == task.test.label.tolist()


def test_preferred_sources_teach_the_all_data_teacher(
    empty: Path, tmp_path: Path, task: Task, config: Preparation
) -> None:
    """Where all weight is on texts of one class, that teacher leans towards it."""
    label = np.concatenate([texts.label for texts in task.sources.values()])
    share = []
    for wanted in (0, 1):
        np.save(tmp_path / f"{wanted}.npy", np.append((label == wanted) * 1.0, np.ones(len(task.train))))
        pool = PoolConfig(copies={"swap": 2}, preference=str(tmp_path / f"{wanted}.npy"))
        long = replace(config.all_data, updates=30, looks=1)
        prepared = prepare(task, replace(config, pool=pool, all_data=long), CPU)
        share.append(prepared.logits("all-data", prepared.rows["dev"]).softmax(1)[:, 1].mean().item())
    assert share[1] > share[0] + 0.02


def test_a_generated_pool_goes_on_where_it_was(
    empty: Path, task: Task, config: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masked language model is trained once, and the pool of an interrupted generation is that of a whole one."""
    training = MaskedTraining(updates=20, adapt_updates=5, batch=16, learning_rate=1e-3)
    pool = PoolConfig(copies={"mlm-target": 3, "mlm-source": 0.2, "mix": 1}, masked_lm=training, labels="teacher")
    config = replace(config, pool=pool)
    whole = prepare(task, config, CPU)
    operator = np.array(whole.pool()["operator"])
    assert set(operator.tolist()) == {0, 1, 2, 3}
    assert (np.array(whole.pool()["domain"])[operator == 1] == 0).all()
    assert (np.array(whole.pool()["domain"])[operator == 2] > 0).all()
    assert (np.array(whole.pool()["edit_share"])[operator > 0] > 0).all()
    assert not (whole.folder / "walks").exists()
    (lm,) = (path for path in (empty / "masked-lm").iterdir() if path.is_dir())
    perplexity = json.loads((lm / "training.json").read_text())["target_perplexity"]
    assert perplexity["before"] > perplexity["trained"] > 1
    content, trained = hashes(whole.folder), times(lm)
    for path in whole.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # Ctrl-C while the second kind of walk is under way
        patch.setattr("l2a_gym.augment.walk.MaskedWalk._read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(task, config, CPU)
    done = list((whole.folder / "walks").rglob("*.npy"))
    assert done
    assert hashes(prepare(task, config, CPU).folder) == content
    assert times(lm) == trained


def test_walks_from_sources_are_no_sources(empty: Path, task: Task, config: Preparation) -> None:
    """Where a domain lies, and what tells it from the target, is learnt from its own texts alone."""
    training = MaskedTraining(updates=20, adapt_updates=5, batch=16, learning_rate=1e-3)
    walks = PoolConfig(copies={"mlm-source": 1}, masked_lm=training, labels="teacher")
    plain, walked = (prepare(task, replace(config, pool=pool), CPU) for pool in (PoolConfig(copies={}), walks))
    n = plain.rows["pool"].stop
    assert walked.rows["pool"].stop > n
    np.testing.assert_allclose(walked.array("signals/log_odds")[:n], plain.array("signals/log_odds"), atol=1e-3)
    np.testing.assert_allclose(walked.array("signals/distance"), plain.array("signals/distance"), atol=1e-5)


def test_pairs_keep_the_pieces_of_the_whole_vocabulary(
    empty: Path, small: dict[str, Any], task: Task, config: Preparation
) -> None:
    """At an even length an odd number of places is left for two sides."""

    def paired(texts: Texts) -> Texts:
        return replace(texts, pair=texts.text[::-1])

    splits = {name: paired(getattr(task, name)) for name in ("train", "dev", "select", "test")}
    pairs = replace(
        task, **splits, sources={name: paired(texts) for name, texts in task.sources.items()}, max_length=20
    )
    prepared = prepare(pairs, config, CPU)
    full = load_tokenizer(small["checkpoint"])
    pool = prepared.pool()
    whole = Tokens.cat(
        [
            encode(full, Texts(tuple(pool["text"]), np.array(pool["label"]), tuple(pool["pair"])), 20),
            *(encode(full, texts, 20) for texts in splits.values()),
        ]
    )
    tokens = prepared.tokens(slice(None))
    assert torch.equal(torch.from_numpy(prepared.array("tokens/kept").copy())[tokens.ids.long()], whole.ids.long())
    assert torch.equal(tokens.first, whole.first)
    assert bool((tokens.first < tokens.length).all())


def test_the_all_data_teacher_learns_from_a_part_of_very_many_texts(
    empty: Path, task: Task, config: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evenly spread over the sources; the labels of what is left out don't matter."""
    monkeypatch.setattr("l2a_gym.preparation.regressions.LEARNT", 40)
    size = sum(map(len, task.sources.values()))
    learnt = np.linspace(0, size - 1, 40).round().astype(np.int64)
    label = np.concatenate([texts.label for texts in task.sources.values()])
    label[np.setdiff1d(np.arange(size), learnt)] ^= 1
    parts = np.split(label, np.cumsum([len(texts) for texts in task.sources.values()])[:-1])
    others = {name: replace(texts, label=part) for (name, texts), part in zip(task.sources.items(), parts, strict=True)}
    one, two = (prepare(each, config, CPU) for each in (task, replace(task, sources=others)))
    np.testing.assert_array_equal(one.array("all-data/logits"), two.array("all-data/logits"))


def test_both_sides_of_pairs_are_kept_and_read(empty: Path, task: Task, config: Preparation, built: Prepared) -> None:
    """The second sides say nothing here, so the regression on both is what a teacher is; and it can be opened again."""

    def paired(texts: Texts) -> Texts:
        return replace(texts, pair=("the town",) * len(texts))

    parts = {name: paired(getattr(task, name)) for name in ("train", "dev", "select", "test")}
    sources = {name: paired(texts) for name, texts in task.sources.items()}
    prepared = prepare(replace(task, **parts, sources=sources), config, CPU)
    sides, alone = (each.array("base/vectors") for each in (prepared, built))
    assert sides.shape == (len(alone), 2, alone.shape[2])
    np.testing.assert_allclose(sides[:, :1], alone, atol=2e-3)
    assert prepared.array("answers/vectors").shape[1] == 2 * built.array("answers/vectors").shape[1]
    teacher = prepared.teacher("all-data")
    assert isinstance(teacher, VectorClassifier)
    assert teacher.head.in_features == 4 * alone.shape[2]
    rows = prepared.rows["dev"]
    torch.testing.assert_close(
        predict(teacher, prepared.tokens(rows)), prepared.logits("all-data", rows), rtol=0, atol=0.05
    )


def test_texts_that_may_not_be_seen_add_no_piece_to_the_vocabulary(
    task: Task, config: Preparation, small: dict[str, Any]
) -> None:
    """A word of test (and select) alone is spelt in smaller pieces, as a new text's would be."""
    word = "story"

    def without(texts: Texts) -> NDArray[np.int64]:
        return np.flatnonzero([word not in text.split() for text in texts.text])

    kept = {name: without(texts) for name, texts in task.sources.items()}
    task = replace(
        task,
        train=task.train.take(without(task.train)),
        dev=task.dev.take(without(task.dev)),
        sources={name: texts.take(kept[name]) for name, texts in task.sources.items()},
        flipped={name: flips[kept[name]] for name, flips in task.flipped.items()},
    )
    config = replace(config, pool=PoolConfig.from_setting("sources"))
    assert any(word in text for text in task.test.text)
    prepared, full = prepare(task, config, CPU), load_tokenizer(small["checkpoint"])
    assert full.convert_tokens_to_ids(word) not in prepared.array("tokens/kept")
    for name in ("select", "test"):
        tokens, tokenizer = prepared.tokens(prepared.rows[name]), prepared.tokenizer()
        assert not (tokens.ids == tokenizer.unk_token_id).any()
        whole = encode(tokenizer, getattr(task, name), 99).ids
        texts = tokenizer.batch_decode(whole, skip_special_tokens=True)
        assert texts == list(getattr(task, name).text)


def test_the_targets_pieces_count_more_and_unseen_ones_not(small: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(small["checkpoint"])
    words = {"pool": "story story book", "train": "book", "dev": "book film", "select": "film song", "test": "song"}
    parts = {name: Texts((text,), np.zeros(1, dtype=np.int64)) for name, text in words.items()}
    count = seen_pieces(tokenizer, parts, 16)
    ids = tokenizer.convert_tokens_to_ids(["story", "book", "film", "song"])
    assert count[ids].tolist() == [2, 21, 10, 0]


def test_preparations_share_the_stages_that_they_agree_on(
    cache: Path, task: Task, config: Preparation, caplog: pytest.LogCaptureFixture
) -> None:
    """Teachers know neither pool nor student, the pool no student; of a new pool only the made texts are asked for."""
    first = prepare(task, config, CPU)
    pool = PoolConfig(copies={"swap": 4, "mix": 2})
    with caplog.at_level(logging.INFO, "l2a_gym"):
        second = prepare(task, replace(config, pool=pool), CPU)
        third = prepare(task, replace(config, student="ratio"), CPU)
    assert shared(second.folder, first.folder) == ["all-data", "base", "cross-fitted", "few-shot", "out-of-fold"]
    assert shared(third.folder, first.folder) == [
        "all-data",
        "answers",
        "base",
        "cross-fitted",
        "few-shot",
        "out-of-fold",
        "pool",
        "signals",
    ]
    assert f"few-shot, as in {first.folder.name}" in caplog.text
    assert_intact(second)
    sources = sum(map(len, task.sources.values()))
    for name in TUNED:
        own, made = (
            second.array(f"{name}/logits"),
            read_candidates(second.folder / "pool").take(range(sources, second.rows["pool"].stop)),
        )
        answers = second.array(f"answers/{name}")
        np.testing.assert_array_equal(np.delete(answers, range(sources, second.rows["pool"].stop), axis=0), own)
        tokens = encode(load_tokenizer(config.checkpoint), made, task.max_length)
        asked = predict(read_teacher(second.folder / name), tokens).numpy()
        np.testing.assert_array_equal(answers[sources : second.rows["pool"].stop], asked)


def test_a_noisy_twin_shares_what_knows_no_label_of_a_source(cache: Path, task: Task, config: Preparation) -> None:
    first = prepare(task, config, CPU)
    for other, same in (
        ({"sources": {name: relabelled(texts) for name, texts in task.sources.items()}}, ["base", "few-shot"]),
        ({"train": relabelled(task.train)}, ["base"]),
        ({"dev": relabelled(task.dev)}, ["base"]),
        ({"max_length": task.max_length - 1}, []),
    ):
        twin = prepare(replace(task, id="twin", **other), config, CPU)
        assert shared(twin.folder, first.folder) == same


def shared(one: Path, other: Path) -> list[str]:
    """The stages whose files are the same files on disk."""
    names = [name for name in times(one) if (other / name).is_file() and (one / name).samefile(other / name)]
    assert all(
        (one / name).is_file()
        for stage in stages_of(set(names))
        for name in times(other)
        if name.startswith(stage + "/")
    )
    return stages_of(set(names))


def test_a_damaged_stage_is_not_shared(cache: Path, task: Task, config: Preparation) -> None:
    first = prepare(task, config, CPU).folder
    flip_a_byte(first / "few-shot" / "logits.npy")
    second = prepare(task, replace(config, student="ratio"), CPU).folder
    assert shared(second, first) == ["all-data", "answers", "base", "cross-fitted", "out-of-fold", "pool", "signals"]
    assert (second / "few-shot" / "logits.npy").read_bytes() != (first / "few-shot" / "logits.npy").read_bytes()


def test_files_are_copied_where_they_can_have_no_second_name(
    cache: Path, task: Task, config: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no hard links here")

    first = prepare(task, config, CPU)
    monkeypatch.setattr(os, "link", refuse)
    second = prepare(task, replace(config, student="ratio"), CPU)
    assert shared(second.folder, first.folder) == []
    content = hashes(first.folder)
    same = {name for name, sha in hashes(second.folder).items() if content.get(name) == sha}
    assert {*STAGES} - {"student", "tokens"} <= set(stages_of(same))


@pytest.mark.parametrize("name", TUNED)
def test_the_teachers_that_are_kept_are_those_that_were_asked(built: Prepared, name: str) -> None:
    logits = predict(built.teacher(name), built.tokens(built.rows["dev"]))
    torch.testing.assert_close(logits, built.logits(name, built.rows["dev"]), rtol=0, atol=0.05)  # other batches, bf16
