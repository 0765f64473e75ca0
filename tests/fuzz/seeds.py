"""Good inputs to start from: what the repository ships, and what its tests and its catalogue show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from hypothesis import Phase, given, settings

from archc import api
from archc.diagnostics import SpecError
from archc.source import Source
from tests.strategies import specs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIGS = Path(os.environ.get("ARCHC_DATA") or ROOT.parent / "shared" / "data") / "archon_configs"

ARCH = [
    'architecture "a"\nrules open\nparam k = {1 | 2}\nmodel m = simulated\nmodel b = openai("x", base_url="http://l/v1")\n'
    "budget calls=64 tokens=200_000\nrequire k * 2 <= 24 and not k == 7\nlet d = generate(m, n=$k)\n"
    "d -> (generate(m, temperature={0.2..1.0}) & d -> fuse(b)) -> {verify(m) | rank(b, top_k={1..3 step 2}) | }\n"
    "  -> extract(number) -> when agreement < 50% { fuse(m) } else when count > 2 { abstain } else { keep } -> vote\n",
    "model m = simulated\nmodel b = simulated\ngenerate(m, n=4)\n"
    "  -> repeat(times=3, until=count >= 2) { critique(m) -> refine(m) }  # twice\n"
    "  -> each { let old = keep (keep & critique(m) -> refine(m)) -> rank(b, top_k=1) }\n"
    "  -> until(count >= 9, max=40, batch=5) { generate(m) } -> race(first=1) { generate(m), generate(b), }\n"
    "  -> cascade([m, b], until=count == 1) { generate($model, n=5) } -> deadline(10) { fuse(m) }\n"
    '  -> budget(calls=10, tokens=4000) { fuse(m) } -> fold(window=6) { fuse(m) } -> use "o.yaml" (w=m)\n'
    "=== o.yaml\nparams: {w: null}\npipeline: [fuse: $w]\n",
    "model m = simulated\n"
    'generate(m, prompt="""\n  Say: {question} \\"""\n  """, stop=["a\\n", "\\u00e9"]) -> select?\n',
]
CONDITIONS = (
    [
        "agreement >= 0.8",
        "count * 2 > 3 and not (b or k <= 50%)",
        '-k + 1e-3 / 2 != 0 or s == "x\\n"',
        "spent.calls < $k",
    ],
    ["agreement / 2 >= 80%", "(k - 1) * (k + 1) == 8", "true", "not b and not not b", 's != """a"""', "1 < 2 == b"],
)
OPTILLM = ["moa&bon-gpt-4o", "none-m", "bon|moa|self_consistency-gpt", "cot_reflection&re2-a/b", "genselect-m"]
MOA = [
    "--model Qwen/Q --reference_models a/b,c/d --rounds 3 --temperature 0.7 --max_tokens 512",
    '--model=m --reference_models=\'["a", "b"]\' --output_path x --num_proc 4',
]
ASSIGNED = [
    "params.k=4\n!w=2\n!critique.on=true",
    "generate.n=16\n!rank.or=#2",
    "models.*.model=x\npipeline.0.generate.n=3",
]


@cache
def seeds() -> Mapping[str, Sequence[bytes]]:
    """By target."""
    found: dict[str, list[str]] = {
        "yaml": [*_files("specs/*.yaml"), *_examples("yaml"), *_files("tests/fuzz/corpus/*.yaml")],
        "arch": [*ARCH, *_files("search/**/*.arch"), *_examples("arch"), *_files("tests/fuzz/corpus/*.arch")],
        "condition": [*CONDITIONS[0], *CONDITIONS[1], *_files("tests/fuzz/corpus/*.condition")],
        "archon": [*_examples("json"), *_files("tests/fuzz/corpus/*.archon"), *_configs()],
        "optillm": [*OPTILLM, *_files("tests/fuzz/corpus/*.optillm")],
        "moa": [*MOA, *_files("tests/fuzz/corpus/*.moa")],
        "assigned": [*ASSIGNED, *_files("tests/fuzz/corpus/*.assigned")],
    }
    made = _random()
    found["yaml"] += made
    for text in made:
        with suppress(SpecError):
            found["arch"].append(api.write_document(api.read_document(Source("a.yaml", text)), "arch"))
    found["written"] = [*found["yaml"], *found["arch"]]
    return {name: [text.encode() for text in texts if len(text) <= 1 << 14] for name, texts in found.items()}


def _random() -> list[str]:
    """Well typed specs of all ops and control forms."""
    texts: list[str] = []

    @settings(max_examples=200, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(specs(max_steps=4))
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    return texts


def _files(pattern: str) -> Iterator[str]:
    return (path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern)))


def _configs() -> list[str]:
    """Archon's published configs, where there are any; every eighth is enough."""
    paths = sorted(CONFIGS.rglob("*.json"))[::8] if CONFIGS.is_dir() else []
    return [path.read_text(encoding="utf-8") for path in paths]


def _examples(language: str) -> list[str]:
    """The blocks of a language in the pages of diagnostics and the documentation, and the cases of the tests."""
    texts = [*_files("archc/errors/*.md"), *_files("docs/*.md")]
    blocks = [
        b for text in texts for b in re.findall(rf"^```{language}[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ]
    if language == "yaml":
        blocks += [
            c for text in _files("tests/cases/*.case") for c in re.split(r"^=+ .*\n|^-+\n", text, flags=re.MULTILINE)
        ]
    return [block for block in blocks if block.strip()]
