"""Cutting the boxed answer out of an output."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadweaver.grading import final_answer

CUTS = [
    (r"so \boxed{12}.", "12"),
    (r"\boxed{1} then \boxed{2}", "2"),
    (r"\boxed {3}", "3"),
    ("\\boxed\n  { 4 }", "4"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{\left\{x \mid x > \sqrt{2}\right\}}", r"\left\{x \mid x > \sqrt{2}\right\}"),
    (r"\boxed{x=\boxed{5}}", "5"),
    (r"\boxed{7} and then \boxed{\frac{8", "7"),
    (r"\boxed{9} as asked within \boxed{}", "9"),
    (r"a set {1, 2 and \boxed{10}", "10"),
    (r"\boxed{11}}}", "11"),
    (r"\fbox{12}", "12"),
    (r"\boxed{13} \fbox{14}", "13"),
    (r"\boxed 15", None),
    (r"\boxedness{16}", None),
    ("no answer", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "answer"), CUTS)
def test_final_answer(text, answer):
    assert final_answer(text) == answer


def test_a_long_text_is_cut_in_one_pass():
    start = time.process_time()
    assert final_answer(r"\boxed{" * 200_000 + "1" + "}" * 200_000) == "1"
    assert final_answer(r"\boxed{" * 200_000) is None
    assert time.process_time() - start < 5


BALANCED = st.recursive(
    st.text("ab1+\\,| \n", min_size=1).filter(lambda t: not t.endswith("\\")),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda parts: "{" + "".join(parts) + "}"),
)


@given(st.text(), BALANCED)
def test_what_was_boxed_is_found(before, answer):
    before = before.replace("\\", "")
    expected = answer.strip() or None
    assert final_answer(f"{before} so \\boxed{{{answer}}} holds") == expected
