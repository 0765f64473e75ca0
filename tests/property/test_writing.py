"""What is written reads back as the same values, writing again changes nothing, and no comment gets lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.comments import comments_in_yaml
from archc.spec.located import Located
from archc.spec.write_yaml import write_yaml
from tests.spec_trees import ANY_TREE, SPEC, VOCABULARY, bare, by_key, read

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def formatted(text: str) -> str:
    source = Source("x.yaml", text)
    root = read(source)
    return write_yaml(root, comments_in_yaml(source, root), VOCABULARY)


def comments(text: str) -> Counter[str]:
    source = Source("x.yaml", text)
    return Counter(comment.text for comment in comments_in_yaml(source, read(source)))


def tree(text: str) -> object:
    return by_key(bare(read(Source("x.yaml", text))))


@MANY
@given(st.one_of(ANY_TREE, SPEC))
def test_yaml_reads_back_as_what_was_written(root: Located) -> None:
    text = write_yaml(root, (), VOCABULARY)

    assert tree(text) == by_key(bare(root))
    assert comments(text) == Counter()
    assert formatted(text) == text


@st.composite
def commented(draw: st.DrawFn, trees: st.SearchStrategy[Located] = SPEC) -> str:
    """A text with comments in many places, some of its lines broken and some blank."""
    text = write_yaml(draw(trees), (), VOCABULARY)
    for number in range(draw(st.integers(1, 6))):
        places = [i for i, char in enumerate(text) if char in " \n"]
        at = draw(st.sampled_from(places)) if draw(st.booleans()) else text.index("\n")
        line = text[text.rfind("\n", 0, at) + 1 :]
        indent = draw(st.sampled_from(["", "  ", " " * (len(line) - len(line.lstrip(" ")))]))
        blank = draw(st.sampled_from(["", "", "\n"]))
        more = f"\n{indent}  " if text[at] == " " else ""
        new = draw(
            st.sampled_from([f" # c{number}{more}", f"\n{blank}{indent}# c{number}{more}{blank}", f" #\n{indent}"])
        )
        changed = text[:at] + new + text[at:]
        try:
            if tree(changed) == tree(text):
                text = changed
        except SpecError:
            continue
    return text


@MANY
@given(commented())
def test_formatting_yaml_keeps_all_comments_and_settles(text: str) -> None:
    once = formatted(text)

    assert tree(once) == tree(text)
    assert comments(once) == comments(text)
    assert formatted(once) == once
