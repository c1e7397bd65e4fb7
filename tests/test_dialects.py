"""Dialects: what is written is read back, what a dialect demands is demanded, and every loss has a name."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from threadweaver.exports import dialects
from threadweaver.exports.dialects import MULTIVERSE, OURS, READERS, convert, write
from threadweaver.exports.dialects.blocks import MAX_DEPTH, Document, Fork, Path, depth, texts
from threadweaver.trajectory import markup

ANSWERED = r"""<Think>
Two ways.
<Parallel>
<Goal>
<Outline>1: by cases</Outline>
<Outline>2: at once</Outline>
</Goal>
<Path>
1: Case by case:
<Parallel>
<Goal>
<Outline>1.1: even</Outline>
<Outline>1.2: odd</Outline>
</Goal>
<Path>
1.1: gives 2
</Path>
<Path>
1.2: gives 3
</Path>
<Conclusion>
5 in all
</Conclusion>
</Parallel>
</Path>
<Path>
2: 5 again
</Path>
<Conclusion>
Both give 5.
</Conclusion>
</Parallel>
Done.
</Think>
\boxed{5}"""
FLAT = r"""<think>
Two ways.
Case by case:
<Parallel>
<Outlines>
<Outline>1: even</Outline>
<Outline>2: odd</Outline>
</Outlines>
<Thread>
1: gives 2
</Thread><Thread>
2: gives 3
</Thread>
<Conclusion>
5 in all
</Conclusion>
</Parallel>
5 again
Both give 5.
Done.
</think>
\boxed{5}"""


# ---- Multiverse and ours

words = st.sampled_from(("Let x = 5.", "a\nb", "1: first", "2.1: odd", r"\frac{1}{2}", "< Path >", "Größe 🧵"))
between = st.sampled_from(("", "\n", "\nSo\n", " and ", "\n\n"))


def forks(inner: st.SearchStrategy) -> st.SearchStrategy[Fork]:
    paths = st.lists(st.builds(Path, inner, words), min_size=1, max_size=3)
    return st.builds(lambda paths, end: Fork(tuple(paths), end), paths, words)


@st.composite
def nested(draw, level: int) -> tuple:
    """The parts of a path: a text, or a text, a fork and a text."""
    if level == 0 or draw(st.booleans()):
        return (draw(words),)
    return (f"{draw(words)}\n", draw(forks(nested(level - 1))), f"\n{draw(words)}")


@st.composite
def documents(draw, level: int = 2) -> Document:
    parts: list = []
    for _ in range(draw(st.integers(0, 3))):
        parts += [draw(between), draw(forks(nested(level)))]
    parts += [draw(between), draw(words)]
    joined = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return Document(tuple(joined), draw(st.sampled_from((None, "", "\n5", "\n\nThe answer is 5.\n"))))


def reasons(document: Document) -> set[str]:
    """Why a Multiverse text may come back from ours as another text."""
    found = set()
    if depth(document.parts) > 1 or any(isinstance(part, Fork) and len(part.paths) == 1 for part in document.parts):
        found |= {"paths put in sequence", "outlines dropped"}
    following = [*document.parts[1:], "\n"]
    for part, after in zip(document.parts, following, strict=True):
        if isinstance(part, Fork) and not (isinstance(after, str) and after.startswith("\n")):
            found.add("newlines added after a block")
    return found


@settings(max_examples=60)
@given(documents())
def test_multiverse_to_ours_and_back_is_the_same_text_or_has_a_reason(document):
    text = write(document, MULTIVERSE).text
    assert READERS[MULTIVERSE](text) == document
    ours = convert(text, MULTIVERSE, OURS)
    body = ours.text.removeprefix("<think>\n").partition("\n</think>")[0]
    assert markup.parse(body).text == body
    allowed = reasons(document)
    if ours.lost.keys() & {"paths put in sequence"}:  # the inner forks may also lack a newline, or end as text
        allowed |= {"newlines added after a block", "conclusions as text"}
    assert set(ours.lost) <= allowed
    assert bool(ours.lost) == bool(allowed)
    try:
        back = convert(ours.text, OURS, MULTIVERSE).text
    except markup.MarkupError as error:  # a fork that was split has its conclusion after its last part
        assert (error.code, "paths put in sequence" in ours.lost) == ("missing_conclusion", True)
    else:
        assert (back == text) == (not ours.lost)
        assert convert(back, MULTIVERSE, OURS).text == ours.text
    dropped = Counter(ours.lost)["outlines dropped"]
    kept = Counter(word for one in texts(READERS[OURS](ours.text).parts) for word in one.split())
    given_words = Counter(word for one in texts(document.parts) for word in one.split())
    assert kept <= given_words and (dropped or kept == given_words)


def test_a_nested_text_is_flattened_in_its_order_and_what_is_lost_is_counted():
    found = convert(ANSWERED, MULTIVERSE, OURS)
    assert found.text == FLAT
    assert found.lost == {"paths put in sequence": 2, "outlines dropped": 2, "conclusions as text": 1}
    assert convert(ANSWERED, MULTIVERSE, MULTIVERSE).text == ANSWERED


def test_a_fork_is_split_around_the_path_that_forks_itself():
    inner = Fork((Path(("p",), "1"), Path(("q",), "2")), "r")
    paths = [Path((text,), "plan") for text in "abcd"]
    outer = Fork((*paths[:2], Path(("x\n", inner), "plan"), *paths[2:]), "end")
    found = READERS[OURS](write(Document((outer,)), OURS).text)
    assert [len(part.paths) if isinstance(part, Fork) else part for part in found.parts] == [2, "\nx\n", 2, "\n", 2]
    assert [part.conclusion for part in found.parts if isinstance(part, Fork)] == [None, "r", "end"]


OUTLINED = markup.write_block(["x", "y"], ["one", "two"])


@pytest.mark.parametrize(
    ("text", "source", "target", "reason"),
    [
        (OUTLINED, OURS, MULTIVERSE, "missing_conclusion"),
        (markup.write_block(["x", "y"], conclusion="z"), OURS, MULTIVERSE, "missing_outlines"),
        ("a <Path> b", OURS, MULTIVERSE, "tag_in_passage"),
        ("<think>\na\n</think> b </think>", OURS, MULTIVERSE, "unclosed_think"),
        ("a <Thread> b", MULTIVERSE, OURS, "stray_tag"),
        (ANSWERED.replace("gives 2", "a<b>c"), MULTIVERSE, OURS, "tag_in_passage"),
        (ANSWERED.replace("1.2: gives", "1.3: gives"), MULTIVERSE, OURS, "numbering"),
        (ANSWERED.replace("<Outline>2: at once</Outline>\n", ""), MULTIVERSE, OURS, "count_mismatch"),
        (ANSWERED.replace("<Conclusion>\nBoth give 5.\n</Conclusion>\n", ""), MULTIVERSE, OURS, "missing_conclusion"),
        (ANSWERED.replace("</Goal>\n<Path>\n1: C", "</Goal>\nstray\n<Path>\n1: C"), MULTIVERSE, OURS, "stray_text"),
        (ANSWERED.replace("2: 5 again", "2:"), MULTIVERSE, OURS, "empty_path"),
        (ANSWERED.replace("</Think>", ""), MULTIVERSE, OURS, "unclosed_think"),
        (f"x{ANSWERED}", MULTIVERSE, OURS, "stray_text"),
        ("a </Parallel> b", MULTIVERSE, OURS, "stray_tag"),
        ("<Parallel>\n<Goal>\n</Goal>", MULTIVERSE, OURS, "missing_outlines"),
        ("<Parallel>" * 3000, MULTIVERSE, OURS, "unbalanced_tag"),
    ],
)
def test_what_cannot_be_converted_has_its_reason(text, source, target, reason):
    with pytest.raises(markup.MarkupError) as caught:
        convert(text, source, target)
    assert caught.value.code == reason


def test_forks_within_forks_end_somewhere():
    opening = "<Parallel><Goal><Outline>{n}: x</Outline></Goal><Path>{n}: "
    text = "".join(opening.format(n=".".join("1" * level)) for level in range(1, 3000))
    with pytest.raises(markup.MarkupError, match=f"more than {MAX_DEPTH}"):
        READERS[MULTIVERSE](text)


def test_fifty_one_paths_are_too_many_for_ours():
    fork = Fork(tuple(Path((str(n),), "plan") for n in range(51)), "end")
    assert write(Document((fork,)), MULTIVERSE).lost == {}
    with pytest.raises(markup.MarkupError, match="too_many_threads"):
        write(Document((fork,)), OURS)


# ---- the others are read

SPAWNED = """<think>Split.
<spawn_workers>
<worker_1>a</worker_1>
<worker_2>b</worker_2>
<worker_3>c</worker_3>
</spawn_workers>
Joined.</think>
<answer>5</answer>"""
GUIDED = """<guideline>
<plan>1: add</plan>
<plan>2: count</plan>
</guideline>
<step>1: 2 + 3</step>
<step>
2: five
</step>
<takeaway>5</takeaway>
The answer is 5."""
SUMMED = "Hm. <Parallel>\n<Path>\na\n</Path>\n<Path>b</Path></Parallel>\n<Summary>\nc\n</Summary>\nSo 5."


def fork_of(bodies: str, plans=(None,) * 3, conclusion=None) -> Fork:
    return Fork(tuple(Path((body,), plan) for body, plan in zip(bodies.split("|"), plans, strict=False)), conclusion)


@pytest.mark.parametrize(
    ("dialect", "text", "document"),
    [
        ("dc-cot", SPAWNED, Document(("Split.\n", fork_of("a|b|c"), "\nJoined."), "\n5")),
        ("npr", GUIDED, Document((fork_of("2 + 3|five", ("add", "count"), "5"), "\nThe answer is 5."))),
        ("npr", GUIDED.replace("1: ", "").replace("2: ", ""), READERS["npr"](GUIDED)),
        ("parallel-r1", SUMMED, Document(("Hm. ", fork_of("a|b", conclusion="c"), "\nSo 5."))),
        ("parallel-r1", f"<think>{SUMMED}</think>5", Document(READERS["parallel-r1"](SUMMED).parts, "5")),
    ],
)
def test_another_dialect_is_read(dialect, text, document):
    assert READERS[dialect](text) == document


def test_each_of_them_becomes_ours():
    for dialect, text, threads in (("dc-cot", SPAWNED, 3), ("npr", GUIDED, 2), ("parallel-r1", SUMMED, 2)):
        found = READERS[OURS](convert(text, dialect, OURS).text)
        assert [len(part.paths) for part in found.parts if isinstance(part, Fork)] == [threads]
    assert convert(GUIDED, "npr", MULTIVERSE).lost == {}
    two = f"{GUIDED.partition('The')[0]}{GUIDED}"
    assert sum(isinstance(part, Fork) for part in READERS["npr"](two).parts) == 2


@pytest.mark.parametrize(
    ("dialect", "text", "reason"),
    [
        ("dc-cot", SPAWNED.replace("<worker_3>c</worker_3>\n", ""), "count_mismatch"),
        ("dc-cot", SPAWNED.replace("worker_2", "worker_4"), "unbalanced_tag"),
        ("dc-cot", SPAWNED.replace("<answer>5</answer>", ""), "unbalanced_tag"),
        ("dc-cot", SPAWNED.replace("<think>", "").replace("</think>", ""), "unclosed_think"),
        ("dc-cot", SPAWNED + "more", "stray_text"),
        ("dc-cot", SPAWNED.replace(">c<", "> <"), "empty_worker_3"),
        ("npr", GUIDED.replace("<plan>2: count</plan>\n", ""), "count_mismatch"),
        ("npr", f"First {GUIDED}", "stray_text"),
        ("npr", GUIDED.replace("<takeaway>5</takeaway>", ""), "missing_conclusion"),
        ("npr", GUIDED.replace("2 + 3", ""), "empty_step"),
        ("npr", GUIDED.replace("</guideline>", "</guideline> x"), "stray_text"),
        ("npr", " ", "empty"),
        ("parallel-r1", SUMMED.replace("<Summary>\nc\n</Summary>", ""), "missing_conclusion"),
        ("parallel-r1", SUMMED.replace("<Path>b</Path>", "<Path>b"), "unbalanced_tag"),
        ("parallel-r1", SUMMED.replace("b<", "<Parallel><"), "unbalanced_tag"),
        ("parallel-r1", "<Parallel></Parallel><Summary>a</Summary>", "empty_block"),
        ("parallel-r1", "<Summary>a</Summary>", "stray_tag"),
    ],
)
def test_a_malformed_text_of_another_dialect_is_refused(dialect, text, reason):
    with pytest.raises(markup.MarkupError) as caught:
        READERS[dialect](text)
    assert caught.value.code == reason


@pytest.mark.parametrize("dialect", dialects.READERS)
@given(
    text=st.lists(
        st.sampled_from(
            "<think> </think> <Think> <Parallel> </Parallel> <Path> </Path> <Thread> 1: x <plan> <guideline> <step> <Goal> <worker_1> <Conclusion> </Conclusion>".split()
        ),
        max_size=12,
    ).map(" ".join)
)
@settings(max_examples=40)
def test_any_text_is_read_or_refused(dialect, text):
    try:
        assert isinstance(READERS[dialect](text), Document)
    except markup.MarkupError as error:
        assert error.code and error.detail
