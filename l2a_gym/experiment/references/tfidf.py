"""TF-IDF of words and characters, and a logistic regression."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion

from l2a_gym.experiment.references.classifier import Classes, Classifier
from l2a_gym.experiment.references.given import Given
from l2a_gym.preparation.regressions import SHOT_COPIES
from l2a_gym.tasks.task import Texts

PENALTIES = (1.0, 10.0, 100.0)
"""The values of C to choose from by dev."""


class Grams:
    """TF-IDF of words and pairs of words, and of 2 to 5 characters of a word, where at least two texts have them.

    Args:
        texts: whose n-grams are counted; the sides of a pair count as two texts.
    """

    def __init__(self, texts: Texts) -> None:
        common = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
        words = TfidfVectorizer(ngram_range=(1, 2), **common)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **common)
        self._union = FeatureUnion([("words", words), ("characters", characters)])
        self._union.fit([*texts.text, *(texts.pair or ())])
        self.vocabulary = [gram for part in (words, characters) for gram in part.vocabulary_]

    def __call__(self, texts: Texts) -> sparse.csr_matrix:
        """Of texts their vectors (n, V); of pairs |u - v| and u * v, one after the other (n, 2 V)."""
        u = self._union.transform(texts.text)
        if texts.pair is None:
            return u
        v = self._union.transform(texts.pair)
        return sparse.hstack([abs(u - v), u.multiply(v)], format="csr")


def tfidf(given: Given) -> Classifier:
    """TF-IDF, from source texts and shots."""
    task, (sources, shots) = given.task, (given.rows[part] for part in ("sources", "train"))
    texts, weight = given.texts.take([*sources, *shots]), np.repeat([1, SHOT_COPIES], [len(sources), len(shots)])
    grams = Grams(texts)
    inputs, dev = grams(texts), grams(task.dev)
    fitted = [LogisticRegression(C=c, max_iter=1000).fit(inputs, texts.label, weight) for c in PENALTIES]
    best = max(fitted, key=lambda each: each.score(dev, task.dev.label))

    def classify(asked: Texts) -> Classes:
        return best.predict(grams(asked))

    return Classifier(
        classify,
        dev=best.predict(dev),
        test=classify(task.test),
        labels=given.count("train", "dev"),
        parameters=best.coef_.size
        + best.intercept_.size
        + len(grams.vocabulary),  # each n-gram has a weight of its own
    )
