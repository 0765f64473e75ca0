"""Canonical YAML: what it looks like, and where comments go."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import pytest

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.write.comments import comments_in_yaml
from archc.spec.write.yaml import write_yaml
from archc.spec.yaml import read_yaml
from tests.spec_trees import VOCABULARY, located

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


def formatted(text: str) -> str:
    source = Source("x.yaml", text)
    root = read_yaml(source)
    return write_yaml(root, comments_in_yaml(source, root), VOCABULARY)


def written(value: object) -> str:
    return write_yaml(located(value), (), VOCABULARY)


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_shipped_specs_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert formatted(text) == text


def test_keys_come_in_their_order_and_small_tables_on_one_line() -> None:
    text = """
        pipeline: [{generate: {model: small, n: !choice [1, 2], t: !choice 0.2..1.0}}, vote, [keep, [drafts, fuse]]]
        own: 1
        budget: {"calls": 64, tokens: 200_000}
        require: ["k * w <= 24", 'w > 0 or k == 1']
        params:
          writer:
          k: !choice 1..8
        models: {small: {backend: openai, model: Qwen}}
        name: demo
    """
    canonical = """
        name: demo
        params: {writer: null, k: !choice 1..8}
        models:
          small: {backend: openai, model: Qwen}
        budget: {calls: 64, tokens: 200000}
        require: [k * w <= 24, w > 0 or k == 1]
        pipeline:
          - generate: {model: small, n: !choice [1, 2], t: !choice 0.2..1.0}
          - vote
          - - keep
            - [drafts, fuse]
        own: 1
    """

    assert formatted(dedent(text)) == dedent(canonical)


def test_control_takes_a_line_a_step_where_it_does_not_fit_on_one() -> None:
    step = "generate: {model: small, temperature: 0.8, max_tokens: 256}"
    text = f"""
        pipeline:
          - repeat: {{times: 3, until: "agreement >= 0.8", do: [{step}, [keep, refine: small], vote]}}
          - race: {{condition: verified >= 1, branches: [[{step}], [{step}, verify: small]]}}
          - when: {{condition: "agreement < 0.5", then: [fuse: small], else: [abstain]}}
          - !choice [{step}, [{step}, vote], []]
    """
    canonical = """
        pipeline:
          - repeat:
              times: 3
              until: agreement >= 0.8
              do:
                - generate: {model: small, temperature: 0.8, max_tokens: 256}
                - - keep
                  - refine: small
                - vote
          - race:
              condition: verified >= 1
              branches:
                - [generate: {model: small, temperature: 0.8, max_tokens: 256}]
                - [generate: {model: small, temperature: 0.8, max_tokens: 256}, verify: small]
          - when: {condition: agreement < 0.5, then: [fuse: small], else: [abstain]}
          - !choice
            - generate: {model: small, temperature: 0.8, max_tokens: 256}
            - [generate: {model: small, temperature: 0.8, max_tokens: 256}, vote]
            - []
    """

    assert formatted(dedent(text)) == dedent(canonical)


def test_comments_stay_with_what_they_are_about() -> None:
    text = """
        # About this spec.

        name: demo   # its name
        pipeline:   # the steps
          # first
          - drafts # again

          - generate:     # gen
              model: small
              prompt: |  # of a block
                # not a comment
              n: 4 # four
              # end of gen
          # after gen
          - - generate: small # one
            # between
            - fuse
            # end of layer
          - each: [
             # in brackets
             critique: {model: small}, # c
             vote
             # closed
            ]  # e
        models: # all of them
          small: {backend: simulated}
          # big: {backend: simulated}
        # the end
    """
    canonical = """
        # About this spec.

        name: demo  # its name
        # all of them
        models:
          small: {backend: simulated}
          # big: {backend: simulated}
        # the steps
        pipeline:
          # first
          - drafts  # again
          # gen
          - generate:
              model: small
              # of a block
              prompt: |
                # not a comment
              n: 4  # four
              # end of gen
          # after gen
          - - generate: small  # one
            # between
            - fuse
            # end of layer
          # e
          - each:
              # in brackets
              - critique: {model: small}  # c
              - vote
              # closed
        # the end
    """

    assert formatted(dedent(text)) == dedent(canonical)
    assert formatted(dedent(canonical)) == dedent(canonical)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("no", "no"),
        ("True", '"True"'),
        ("", '""'),
        ("1.5", '"1.5"'),
        (1.5, "1.5"),
        (1e16, "1e+16"),
        (10**30, "1" + "0" * 30),
        (None, "null"),
        ("a: b", '"a: b"'),
        ('"{x}" \\d', "'\"{x}\" \\d'"),
        ("é\x07\u2028", '"é\\u0007\\u2028"'),
        ("one\ntwo", "|-\n  one\n  two"),
        ("one\n\ntwo\n", "|\n  one\n\n  two"),
        ("hidden \nblank", '"hidden \\nblank"'),
        ("several\n\n", '"several\\n\\n"'),
    ],
)
def test_scalars_read_back(value: object, text: str) -> None:
    assert written(value) == f"{text}\n"
    assert read_yaml(Source("x.yaml", written(value))).value == value  # type: ignore[union-attr]


def test_a_string_is_quoted_only_where_brackets_would_end_it() -> None:
    assert written({"long": "x" * 90, "text": "Solve {question}, briefly"}) == (
        f"long: {'x' * 90}\ntext: Solve {{question}}, briefly\n"
    )
    assert written([["Solve {question}, briefly"]]) == '[["Solve {question}, briefly"]]\n'


def test_numbers_that_no_text_means_are_refused() -> None:
    with pytest.raises(SpecError, match="not finite"):
        written({"n": math.inf})


def test_long_specs_are_formatted() -> None:
    step = "  - repeat: {times: 3, do: [generate: {model: small, n: 4}, vote]}  # a loop\n"
    text = "pipeline:\n" + step * 10_000
    source = Source("x.yaml", text)
    root = read_yaml(source)

    assert write_yaml(root, comments_in_yaml(source, root), VOCABULARY).count("# a loop") == 10_000
