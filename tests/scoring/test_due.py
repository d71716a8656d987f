"""Due, unable, and owing: the column code against one reading at a time, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from remhart_adt.scoring.due import answering

READING = st.tuples(st.integers(0, 2), st.booleans(), st.booleans())  # point, period begins, model could answer


def one_by_one(stream: list[tuple[int, bool, bool]]) -> list[int]:
    owed = [False, False, False]
    answers = []
    for k, (row, due, can) in enumerate(stream):
        if due:
            answers.append(k)
            owed[row] = not can
        elif owed[row] and can:
            answers.append(k)
            owed[row] = False
    return answers


@given(st.lists(READING, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_answers_do_not_depend_on_the_cuts(stream: list[tuple[int, bool, bool]], cuts: list[int]) -> None:
    owed = np.zeros(3, bool)
    answers: list[int] = []
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in pairwise(edges):
        part = stream[start:end]
        row = np.array([r for r, _, _ in part], np.int64)
        due = np.array([d for _, d, _ in part], bool)
        can = np.array([c for _, _, c in part], bool)
        answers += (answering(due, row, owed, lambda some, can=can: can[some]) + start).tolist()

    assert answers == one_by_one(stream)
