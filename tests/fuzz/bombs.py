"""Texts that would take far too long, or far too much memory, if nothing limited what they multiply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

FULL = 1 << 16
M = "model m = simulated\n"
Y = "models: {m: {backend: simulated}}\n"
RANKER = ', [{"type": "ranker", "model": "m", "model_type": "OpenAI_API"}]'
LAYERS = '{"layers": [[{"type": "generator", "model": "m", "model_type": "OpenAI_API", "samples": 99}]'


def filled(head: str, piece: str, tail: str = "") -> str:
    """64 KiB of the same piece."""
    return head + piece * ((FULL - len(head) - len(tail)) // len(piece)) + tail


def counted(head: str, piece: Callable[[int], str], tail: str = "", size: int = FULL) -> str:
    """The same of numbered pieces."""
    parts, left, number = [head], size - len(head) - len(tail), 0
    while left > (length := len(part := piece(number))):
        parts.append(part)
        left, number = left - length, number + 1
    return "".join([*parts, tail])


def _used(step: str, end: str, uses: int, files: int) -> str:
    """Files that use the next one, so many times each."""
    chain = "".join(f"=== f{i}.arch\nkeep" + f"->{step}".replace("#", str(i + 1)) * uses + "\n" for i in range(files))
    return f'{M}generate(m)->use "f0.arch"\n{chain}=== f{files}.arch\n{end}\n'


USE = 'use "f#.arch"'
F = '->use "f.arch"'
TENS = "".join(f"param a{i} = {{0..9}}\n" for i in range(30))
SUM = "+".join(f"a{i}" for i in range(30))

ARCH = {
    "layers that double": f"{M}generate(m){'->(keep&keep)' * 40}->select",
    "names that double": f"{M}let a0=m {''.join(f'let a{i + 1}=(a{i}&a{i}) ' for i in range(60))}a60->select",
    "files that double": _used(USE, "keep", 2, 20),
    "files that double, with steps": _used(USE, "select", 2, 20),
    "a long chain of files": _used(USE, "select", 1, 1500),
    "deep files": _used("(" * 12 + USE + "&keep)" * 12, "select", 1, 30),
    "deep blocks in files": _used("each{each{each{" + USE + "}}}", "select", 1, 30),
    "one file often": filled(f"{M}generate(m)", F, "\n=== f.arch\nkeep\n"),
    "a large file often": f"{M}generate(m){F * 2000}\n=== f.arch\nkeep{'->keep' * 5000}\n",
    "loops in loops": M + "generate(m)->" + "repeat(times=1000){" * 5 + "fuse(m)" + "}" * 5,
    "models in models": M + f"cascade([{'m,' * 20}],until=count>1){{" * 5 + "generate($model)" + "}" * 5,
    "many models": filled(f"{M}cascade([m", ",m", "],until=count>1){generate($model)}"),
    "a list in many places": f"{M}param p=[{'m,' * 15000}]\ngenerate(m){'->fuse($p)' * 3000}",
    "a long prompt in many places": f"{M}param p=\"{'{question}' * 3000}\"\ngenerate(m){'->fuse(m,prompt=$p)' * 1500}",
    "a sum that is never met": f"{M}{TENS}require {SUM} > 1000\ngenerate(m)",
    "many sums": M + TENS + f"require {SUM} > 0\n" * 200 + f"require {SUM} > 1000\ngenerate(m)",
    "one long requirement": filled(f"{M}param a={{1..9}}\nparam b={{1..9}}\nrequire a>1", " or a+b>1", "\ngenerate(m)"),
    "many requirements": filled(f"{M}param a={{1|2}}\n", "require a>0\n", "generate(m)"),
    "many params with requirements": counted(M, lambda i: f"param a{i}={{1|2}}\nrequire a{i}>0\n", "generate(m)"),
    "critiques that nothing reads": f"{M}generate(m){'->critique(m)' * 4500}",
    "steps that die one by one": f"{M}let a=generate(m){'->fuse(m)' * 6000}\ngenerate(m)",
    "layers that die": f"{M}generate(m){'->(critique(m)&critique(m))' * 19}->generate(m)",
    "unknown words among many": counted(M, lambda i: f"let a{i}=m ", "b", FULL // 2)
    + counted("", lambda i: f"->zz{i}", "", FULL // 2),
    "unknown params among many": counted("", lambda i: f"param a{i}=1\n", "b", FULL // 2) + "->fuse($zz)" * 2500,
    "a wide layer": filled(f"{M}(generate(m)", "&generate(m)", ")"),
    "a long chain": filled(f"{M}generate(m)", "->select"),
    "names, each of the one before": counted(f"{M}let a0=m\n", lambda i: f"let a{i + 1}=a{i}\n", "a1->select"),
    "many alternatives": filled(f"{M}generate(m)->{{", "select|", "}"),
    "many options": filled(f"{M}generate(m,n={{1", "|2", "})"),
    "many steps that are there or not": filled(f"{M}generate(m)", "->select?"),
    "choices in choices": f"{M}generate(m)->{'{select|' * 30}select{'}' * 30}",
    "else after else": filled(f"{M}generate(m)->when count>1 {{select}}", " else when count>1 {select}"),
    "many conditions": filled(f"{M}generate(m)", "->when count>1 {select}"),
    "a long condition": filled(f"{M}generate(m)->when count>1", " or count>1", " {select}"),
    "not not not": filled(f"{M}generate(m)->when ", "not ", "count>1 {select}"),
    "minus minus": filled(f"{M}generate(m)->when ", "-", "count>1 {select}"),
    "open brackets": filled("", "({["),
    "mistakes at every line": filled("a", "\n-> + a"),
    "quotes": filled("", '"'),
    "braces in a prompt": M + 'generate(m,prompt="' + "{{" * 30000 + '")',
    "an unbounded pattern": M + 'generate(m)->extract(kind=regex,pattern="' + "(" * 30000 + ")" * 30000 + '")',
}  # fmt: skip
YAML = {
    "a list in many steps": f"params: {{p: [{'vote,' * 6000}]}}\n{Y}pipeline: [generate: {{model: m}}{',$p' * 8000}]",
    "a requirement that is not met, often": filled("params: {a: 1}\nrequire: [", "a>1,", "]\npipeline: [vote]"),
    "wrong requirements": filled("params: {a: 1}\nrequire: [", "a>,", "]\npipeline: [vote]"),
    "params without values": counted("params: {", lambda i: f"a{i}: ,", "}\npipeline: [vote]"),
    "models that are none": counted("models: {", lambda i: f"a{i}: ,", "}\npipeline: [vote]"),
    "lines": filled(f"{Y}pipeline:\n- generate: {{model: m}}\n", "- vote\n"),
    "keys": counted("", lambda i: f"k{i}: 1\n"),
}
OTHERS = {
    "alternating": ("condition", filled("(k+1)*2>3", " and (k-1)/2<4 or not b")),
    "huge numbers": ("condition", "*".join(["9" * 39] * 1500) + ">1"),
    "unknown names": ("condition", counted("k>1", lambda i: f" or z{i}>1")),
    "rankers": ("archon", LAYERS + RANKER * 900 + "]}"),
    "approaches": ("optillm", filled("moa", "&bon", "-gpt")),
    "references": ("moa", filled("--model m --reference_models a", ",a")),
    "rounds": ("moa", "--model m --rounds 100 --reference_models a" + ",a" * 300),
    "assignments": ("assigned", filled("", "name=1\n")),
}
BOMBS: Mapping[str, tuple[str, str]] = {
    **{name: ("arch", text) for name, text in ARCH.items()},
    **{name: ("yaml", text) for name, text in YAML.items()},
    **OTHERS,
}
