"""What is written reads back as the same values, writing again changes nothing, and no comment gets lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.document import Document, canonical_condition, read_document, write_document
from archc.spec.located import Located
from archc.spec.write.comments import comments_in_yaml
from archc.spec.write.yaml import write_yaml
from archc.spec.yaml import read_yaml
from tests.spec_trees import ANY_TREE, SPEC, VOCABULARY, bare, by_key, normal

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def formatted(text: str) -> str:
    return write_document(read_document(Source("x.yaml", text), VOCABULARY), "yaml", VOCABULARY)


def comments(text: str) -> Counter[str]:
    source = Source("x.yaml", text)
    return Counter(comment.text for comment in comments_in_yaml(source, read_yaml(source)))


def tree(text: str) -> object:
    return by_key(bare(read_yaml(Source("x.yaml", text))))


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
@example("pipeline:\n  - [[generate:\n# c\n   small, drafts], vote]\n")
@example("pipeline:\n  - each: [\n     vote, # c\n     # d\n    ]  # e\n")
@example(
    "pipeline:\n  - !choice\n    - [[drafts, [generate: small, generate: small]], # c\n   drafts]\n    - [drafts]\n"
)
def test_formatting_yaml_keeps_all_comments_and_settles(text: str) -> None:
    once = formatted(text)

    assert tree(once) == tree(text)
    assert comments(once) == comments(text)
    assert formatted(once) == once


# ---- .arch


def arch(text: str) -> Document:
    return read_document(Source("x.arch", text), VOCABULARY)


@MANY
@given(SPEC)
def test_arch_says_all_that_yaml_says(root: Located) -> None:
    text = write_document(Document("yaml", root), "arch", VOCABULARY)
    document = arch(text)

    assert normal(document.root, canonical_condition) == normal(root, canonical_condition)
    assert document.comments == ()
    assert write_document(document, "arch", VOCABULARY) == text
    back = read_document(Source("x.yaml", write_document(document, "yaml", VOCABULARY)), VOCABULARY)
    assert by_key(bare(back.root)) == by_key(bare(document.root))


@MANY
@given(commented())
def test_comments_go_with_a_spec_into_the_other_form_and_back(text: str) -> None:
    there = write_document(read_document(Source("x.yaml", text), VOCABULARY), "arch", VOCABULARY)
    back = write_document(arch(there), "yaml", VOCABULARY)

    assert Counter(comment.text for comment in arch(there).comments) == comments(text)
    assert comments(back) == comments(text)
    assert write_document(arch(there), "arch", VOCABULARY) == there
    assert write_document(read_document(Source("x.yaml", back), VOCABULARY), "yaml", VOCABULARY) == back
