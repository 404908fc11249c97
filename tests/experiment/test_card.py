"""The model card: what it says, and what the hub's own loader reads of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from huggingface_hub import EvalResult, ModelCard

from l2a_gym.experiment.card import model_card
from l2a_gym.experiment.settings import Run
from l2a_gym.preparation.store import Prepared

SCORES = {
    "teacher": "few-shot",
    "policy": "uniform",
    "dev_accuracy": 0.81234,
    "test_accuracy": 0.79876,
    "updates": 480,
    "parameters": 1200,
    "labels": 832,
    "temperature": 1.2345,
    "calibration_error": {"before": 0.06789, "after": 0.01234},
}
FORMAT = {"megabytes": 12.25, "texts_per_second": 4321.0, "test_accuracy": 0.79876, "same_labels": 1.0}


class Stored(Prepared):
    """A prepared task whose manifest says something else here and there."""

    def __init__(self, prepared: Prepared, **changed: Any) -> None:
        super().__init__(prepared.folder)
        self.changed = changed

    def manifest(self) -> dict[str, Any]:
        return super().manifest() | self.changed


def test_the_card_says_what_the_student_is(run: Run, prepared: Prepared) -> None:
    stored = Stored(prepared, parameters={"student": 1100, "teacher": 10_000})
    card = model_card(run, stored, SCORES)
    for line in (
        "# task: a distilled student",
        "| labels | negative, positive |",
        "| target domain, sources | films; books, songs |",
        "| selector | similarity, seed 3, budget 77 |",
        "| weights of the candidates by | uniform |",
        "| student updates | 480 |",
        "| labels of the target that were read | 832 |",
        "| dev accuracy | 0.8123 |",
        "| test accuracy | 0.7988 |",
        "| temperature | 1.234 |",
        "| expected calibration error on test (15 bins), before and after | 0.0679, 0.0123 |",
    ):
        assert line in card.splitlines()
    assert "A small student (1,200 parameters, 12.0% of the teacher's), distilled with L2A-Gym from" in card
    assert "from the few-shot teacher, which was made of a checkpoint named teacher." in card
    assert run.checkpoint not in card  # where it lies on this machine is nobody's business
    assert "The student was taught with texts of up to 16 tokens." in card


def test_onnx_files_have_a_table_and_lines_that_use_them(run: Run, prepared: Prepared) -> None:
    scores = SCORES | {"formats": {"model.safetensors": FORMAT, "onnx/model_int8.onnx": FORMAT | {"same_labels": 0.9}}}
    card = model_card(run, prepared, scores)
    assert "| model.safetensors | 12.2 | 4,321 | 0.7988 | 1.0000 |" in card.splitlines()
    assert "| onnx/model_int8.onnx | 12.2 | 4,321 | 0.7988 | 0.9000 |" in card.splitlines()
    assert 'tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")' in card.splitlines()
    assert ModelCard(card).data.tags == ["knowledge-distillation", "l2a-gym", "onnx"]
    assert "onnx" not in model_card(run, prepared, SCORES)


def test_the_hub_reads_the_metadata_of_the_default(run: Run, prepared: Prepared) -> None:
    domains = ["nyt", "amazon", "tweets"]
    stored = Stored(prepared, config={"checkpoint": "embedded"}, domains=domains)
    card = ModelCard(model_card(replace(run, task="hutto/nyt-64"), stored, SCORES))
    data = card.data
    assert (data.license, data.base_model) == ("apache-2.0", "sentence-transformers/all-MiniLM-L6-v2")
    assert (data.language, data.metrics, data.library_name) == ("en", ["accuracy"], "transformers")
    assert data.datasets == ["hutto/amazon", "hutto/nyt", "hutto/tweets"]
    assert (data.pipeline_tag, data.tags) == ("text-classification", ["knowledge-distillation", "l2a-gym"])
    assert data.model_name == "hutto-nyt-64-similarity"
    result = EvalResult("text-classification", "hutto/nyt", "nyt", "accuracy", 0.7988, dataset_split="test")
    assert data.eval_results == [result]
    assert card.text.strip().startswith("# hutto-nyt-64: a distilled student")


def test_sets_of_the_hub_have_their_names(run: Run, prepared: Prepared) -> None:
    stored = Stored(prepared, config={"checkpoint": "google/electra-small"}, domains=["scitail", "mnli", "snli"])
    data = ModelCard(model_card(replace(run, task="hub/scitail-100"), stored, SCORES)).data
    assert data.datasets == ["allenai/scitail", "nyu-mll/glue", "stanfordnlp/snli"]
    assert data.eval_results[0].dataset_type == "allenai/scitail"
    assert (data.base_model, data.license) == ("google/electra-small", "unknown")


def test_of_own_data_nothing_is_made_up(run: Run, prepared: Prepared) -> None:
    data = ModelCard(model_card(run, prepared, SCORES)).data
    assert (data.license, data.base_model, data.language) == ("unknown", None, None)
    assert data.datasets == ["task/books", "task/films", "task/songs"]
    assert data.model_name == "task-similarity"


def test_names_break_neither_table_nor_metadata(run: Run, prepared: Prepared) -> None:
    label = "good | <b>\n---\x1b[2J"
    stored = Stored(prepared, labels=[label, "bad: 'x'"], domains=["my films: #1\n---", "books"])
    card = model_card(run, stored, SCORES)
    assert "| labels | good \\| \\<b\\> ---\\\\x1b\\[2J, bad: 'x' |" in card.splitlines()
    assert "\x1b" not in card
    data = ModelCard(card).data
    assert data.datasets == ["task/books", "task/my-films-1"]
    assert data.eval_results[0].dataset_name == "my films: #1\n---"
