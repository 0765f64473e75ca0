"""Canonical `.arch`: what it looks like, and where comments go."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from archc.diagnostics import SpecError
from archc.source import Source
from archc.spec.document import Document, read_document, write_document
from tests.spec_trees import VOCABULARY, choice, located

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))


def arch(text: str, name: str = "x.yaml") -> str:
    return write_document(read_document(Source(name, dedent(text)), VOCABULARY), "arch", VOCABULARY)


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_shipped_specs_go_there_and_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    there = arch(text)

    assert arch(there, "x.arch") == there
    assert write_document(read_document(Source("x.arch", there), VOCABULARY), "yaml", VOCABULARY) == text


WHOLE_YAML = """
    # A spec with one of everything.

    name: demo
    rules: open  # or archon
    params: {writer: null, k: 4, w: !choice [0, 2, 4], my param: 1, when: null}
    # Two sizes
    models:
      small: {model: Qwen/Qwen2.5-7B, backend: openai, price: {prompt: 0.1, completion: 0.4}}
      # the fallback
      tiny: {backend: llamacpp}
      plain: {model: embedded}
      big: {backend: openai, model: Qwen/Qwen2.5-72B, base_url: "${VLLM_BIG_URL:-http://localhost:8000/v1}"}
    budget: {calls: 64, tokens: 200_000}
    require: [k*w<=24, w > 0 or k == 1]
    pipeline:
      - let: {drafts: [generate: {model: small, n: 8}], two: [drafts, vote]}
      - drafts
      # sample
      - generate: {n: !choice [1, 2], model: small, temperature: !choice 0.2..1.0, max_tokens: !choice 64..256 step 64}
      - - generate: small  # here the comment keeps the layer broken
        - [generate: small, fuse: small]
      - !choice [verify: small, [write_tests: small, evaluate: small], []]
      - !choice [critique: small, []]
      - !choice [[], keep]
      - repeat: {times: 3, until: "agreement>=0.80", do: [critique: small, refine: small]}
      - when: {condition: agreement < 0.5, then: [fuse: small], else: [when: {condition: count > 2, then: [abstain]}]}
      - each: [let: {old: [keep]}, [keep, [critique: small, refine: small]], rank: {model: small, top_k: 1}]
      - race: {condition: verified >= 1, first: 1, branches: [[generate: small], [generate: big, verify: big]]}
      - cascade:
          models: [small, big]
          until: agreement == 1
          do:
            - generate: {model: $model, n: 5}  # five
            - extract: number
            # done
      - deadline: {seconds: 10, do: [generate: small]}
      - budget: {calls: 10, do: [generate: small]}
      - use: {spec: refine.yaml, with: {writer: small}}
      - explore: {width: 3, do: [generate: small]}
      - generate:
          model: small
          prompt: |-
            Solve:
            {question}
          stop: ["\\n", "#"]
      - my op: {by: let}
    # the end
"""

WHOLE_ARCH = """
    # A spec with one of everything.

    architecture demo
    rules open  # or archon
    param writer
    param k = 4
    param w = {0 | 2 | 4}
    param "my param" = 1
    param "when"
    # Two sizes
    model small = openai("Qwen/Qwen2.5-7B", price={prompt: 0.1, completion: 0.4})
    # the fallback
    model tiny = llamacpp
    model plain = {model: embedded}
    model big = openai("Qwen/Qwen2.5-72B", base_url="${VLLM_BIG_URL:-http://localhost:8000/v1}")
    budget calls=64 tokens=200000
    require k * w <= 24
    require w > 0 or k == 1

    let drafts = generate(small, n=8)
    let two = drafts -> vote

    drafts
      # sample
      -> generate(small, n={1 | 2}, temperature={0.2..1.0}, max_tokens={64..256 step 64})
      -> (
        generate(small)  # here the comment keeps the layer broken
        & generate(small) -> fuse(small)
      )
      -> {verify(small) | write_tests(small) -> evaluate(small)}?
      -> critique(small)?
      -> { | keep}
      -> repeat(3, until=agreement >= 0.8) { critique(small) -> refine(small) }
      -> when agreement < 0.5 { fuse(small) } else when count > 2 { abstain }
      -> each {
        let old = keep
        (keep & critique(small) -> refine(small)) -> rank(small, top_k=1)
      }
      -> race(verified >= 1, first=1) { generate(small), generate(big) -> verify(big) }
      -> cascade([small, big], until=agreement == 1) {
        generate($model, n=5)  # five
          -> extract(number)
        # done
      }
      -> deadline(10) { generate(small) }
      -> budget(calls=10) { generate(small) }
      -> use "refine.yaml" (writer=small)
      -> explore(width=3) do { generate(small) }
      -> generate(
        small,
        prompt=\"\"\"
          Solve:
          {question}\"\"\",
        stop=["\\n", "#"],
      )
      -> "my op"(by="let")
    # the end
"""


def test_everything_has_its_words() -> None:
    assert arch(WHOLE_YAML) == dedent(WHOLE_ARCH)
    assert arch(WHOLE_ARCH, "x.arch") == dedent(WHOLE_ARCH)


def test_what_does_not_fit_on_a_line_is_broken() -> None:
    step = "generate(small, temperature=0.8, max_tokens=256)"
    text = f"""
        ({step} & {step} -> fuse(small))
        -> race(verified >= 1) {{ {step}, {step} -> verify(small) }}
        -> when agreement < 0.5 {{ {step} }} else {{ fuse(small) }}
        -> {{ {step} | {step} -> vote }}?
    """
    canonical = f"""
        (
          {step}
          & {step} -> fuse(small)
        )
          -> race(verified >= 1) {{
            {step},
            {step} -> verify(small),
          }}
          -> when agreement < 0.5 {{ {step} }} else {{ fuse(small) }}
          -> {{
            {step}
            | {step} -> vote
          }}?
    """

    assert arch(text, "x.arch") == dedent(canonical)


def test_several_lines_of_text_are_shown_as_such_where_that_is_exact() -> None:
    texts = ("a\nb", "a\nb\n", " a\nb", 'a\n"""', "a\nb\\")
    root = located({"pipeline": [{"generate": {"prompt": text}} for text in texts]})
    canonical = r'''
        generate(
          prompt="""
            a
            b""",
        )
          -> generate(
            prompt="""
              a
              b
              """,
          )
          -> generate(prompt=" a\nb")
          -> generate(prompt="a\n\"\"\"")
          -> generate(prompt="a\nb\\")
    '''

    assert write_document(Document("yaml", root), "arch", VOCABULARY) == dedent(canonical)


@pytest.mark.parametrize(
    ("root", "what"),
    [
        (5, "a number as a spec"),
        ({"pipeline": 5}, "a number as the pipeline"),
        ({"pipeline": [5]}, "a number as a step"),
        ({"pipeline": [{"a": 1, "b": 2}]}, "a mapping as a step"),
        ({"pipeline": [[[], "vote"]]}, "a sequence without steps"),
        ({"pipeline": [{"generate": choice({"n": 1}, {"n": 2})}]}, "a choice among the arguments of `generate`"),
        ({"models": 5}, "a number as `models`"),
        ({"require": "k > 1"}, "a string as `require`"),
        ({"own": 1, "pipeline": []}, "the key `own`"),
    ],
)
def test_what_is_no_spec_has_no_words(root: object, what: str) -> None:
    with pytest.raises(SpecError) as error:
        write_document(Document("yaml", located(root)), "arch", VOCABULARY)

    assert [d.headline for d in error.value.diagnostics] == [f"{what} cannot be written in this form"]
