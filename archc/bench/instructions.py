"""Instructions: the 25 that IFEval checks (arXiv 2311.07911), each by a function of the response and its parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from archc.bench.graders import Grade
from archc.bench.languages import is_in

_SHORT: Final = """mr mrs ms dr prof st sr jr vs etc inc ltd co no vol fig al approx dept est jan feb mar apr jun jul
aug sep oct nov dec gen col sgt rev hon e.g i.e u.s u.k a.m p.m ph.d p.s p.p.s"""
_ABBREVIATIONS: Final = frozenset(_SHORT.split())
_END: Final = re.compile(r"(?<![.!?])[.!?]+[\"'”’)\]*_]*(?=\s|$)")
_SHORT_FORMS: Final = re.compile(r"(?i)(n['’]t|['’](?:s|m|d|ll|re|ve))\b")
_ALLOWED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def sentences(text: str) -> int:
    """How many sentences there are: ends are . ! ? before a blank or the end, but for initials, the commonest
    abbreviations, the numbers of lists, and what goes on in lower case."""
    count, start = 0, 0
    for end in _END.finditer(text):
        word = text[max(start, end.start() - 20) : end.start()].split()[-1:]
        before = word[0].lstrip("(\"'“*").lower() if word else ""
        after = text[end.end() : end.end() + 80].lstrip()[:1]
        line = text[text.rfind("\n", 0, end.start()) + 1 : end.start()][:40].strip()
        one_point = end[0].startswith(".") and not end[0].startswith("..")
        if one_point and (before in _ABBREVIATIONS or re.fullmatch(r"[a-z]", before)) and after:
            continue
        if one_point and (line.isdecimal() or after.islower()):
            continue
        count, start = count + 1, end.end()
    return count + bool(re.search(r"\w", text[start:]))


def _compared(count: int, relation: str | None, wanted: int) -> bool:
    return count < wanted if relation == "less than" else count >= wanted


def _found(pattern: str, text: str) -> int:
    """How often a keyword is there; the official data has regular expressions, and what is none is taken literally."""
    try:
        return len(re.findall(pattern, text, re.IGNORECASE))
    except re.error:
        return len(re.findall(re.escape(pattern), text, re.IGNORECASE))


def _keywords(text: str, keywords: Sequence[str]) -> bool:
    return all(_found(word, text) for word in keywords)


def _forbidden(text: str, forbidden_words: Sequence[str]) -> bool:
    return not any(_found(rf"\b{word}\b", text) for word in forbidden_words)


def _frequency(text: str, keyword: str, frequency: int, relation: str | None = None) -> bool:
    return _compared(_found(keyword.strip(), text), relation, frequency)


def _letters(text: str, letter: str, let_frequency: int, let_relation: str | None = None) -> bool:
    return _compared(text.lower().count(letter.strip().lower()), let_relation, let_frequency)


def _language(text: str, language: str) -> bool:
    return is_in(text, language)


def _number_sentences(text: str, num_sentences: int, relation: str | None = None) -> bool:
    return _compared(sentences(text), relation, num_sentences)


def _number_words(text: str, num_words: int, relation: str | None = None) -> bool:
    return _compared(len(re.findall(r"\w+", text)), relation, num_words)


def _number_paragraphs(text: str, num_paragraphs: int) -> bool:
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    return all(parts[1:-1]) and sum(map(bool, parts)) == num_paragraphs


def _first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    parts = [part.strip() for part in text.split("\n\n")]
    count = sum(map(bool, parts))
    if not 1 <= nth_paragraph <= count or not parts[nth_paragraph - 1]:
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    return count == num_paragraphs and re.split(r"[.,?!'\"]", word.lower())[0] == first_word.lower()


def _placeholders(text: str, num_placeholders: int) -> bool:
    return sum("[" in part for line in text.split("\n") for part in line.split("]")[:-1]) >= num_placeholders


def _postscript(text: str, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(_found(known.get(marker, re.escape(marker)), text))


def _bullets(text: str, num_bullets: int) -> bool:
    return len(re.findall(r"^[^\S\n]*(?:\*[^*]|-)", text, re.MULTILINE)) == num_bullets


def _constrained(text: str) -> bool:
    return any(answer in text for answer in _ALLOWED)


def _highlights(text: str, num_highlights: int) -> bool:
    found = [part for mark in (r"\*", r"\*\*") for part in re.findall(rf"{mark}[^\n*]*{mark}", text)]
    return sum(bool(part.strip("*").strip()) for part in found) >= num_highlights


def _sections(text: str, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", text)) >= num_sections


def _json(text: str) -> bool:
    inner = re.sub(r"^```(?:json|Json|JSON)?", "", text.strip()).removesuffix("```")
    try:
        json.loads(inner)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str) -> bool:
    for line in text.split("\n"):
        begin, end = line.find("<<"), line.rfind(">>")
        if begin >= 0 and begin + 2 < end and line[begin:end].lstrip("<").rstrip(">").strip():
            return True
    return False


def _two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    given = [part for part in parts if part]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


def _repeated(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _ended(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _capital_words(text: str, capital_frequency: int, capital_relation: str | None = None) -> bool:
    parted = _SHORT_FORMS.sub(r" \1", text)
    words = re.findall(r"[^\s,;:!?()\[\]{}<>\"“”…]+", parted)
    return _compared(sum(word.isupper() for word in words), capital_relation, capital_frequency)


CHECKS: Final[Mapping[str, Callable[..., bool]]] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeated,
    "startend:end_checker": _ended,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text: text.isupper() and is_in(text, "en"),
    "change_case:english_lowercase": lambda text: text.islower() and is_in(text, "en"),
    "punctuation:no_comma": lambda text: "," not in text,
    "startend:quotation": _quoted,
}


def follows(text: str, instruction: str, **parameters: Any) -> bool:
    """Whether a response follows an instruction; one without words follows none. KeyError or TypeError for unknowns."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return CHECKS[instruction](text, **given) if text.strip() else False


def loosened(text: str) -> list[str]:
    """The response as it is, without its first line, its last, both, and each of these without asterisks."""
    lines = text.split("\n")
    texts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*texts, *(one.replace("*", "") for one in texts)]


def mistake(record: Mapping[str, Any]) -> str:
    """What is wrong with the instructions of a record; nothing if they can be checked."""
    for name, parameters in _of(record):
        if name not in CHECKS or not isinstance(parameters, Mapping):
            return f"`{name}` is no instruction of IFEval"
        try:
            follows("x", name, **parameters)
        except (TypeError, AttributeError):
            return f"{sorted(parameters)} are not the parameters of `{name}`"
    return "" if _of(record) else "it has no `instruction_id_list`"


def _of(record: Mapping[str, Any]) -> list[tuple[str, Any]]:
    meta = record.get("meta", record)
    names, parameters = meta.get("instruction_id_list") or [], meta.get("kwargs") or []
    return list(zip(map(str, names), [*parameters, *[{}] * len(names)], strict=False))


def graded_instructions(answer: str, record: Mapping[str, Any]) -> Grade:
    """Right is what follows all instructions as they stand; the loose verdicts, and those of each, are its parts."""
    texts = loosened(answer)
    strict = [follows(answer, name, **parameters) for name, parameters in _of(record)]
    loose = [any(follows(text, name, **parameters) for text in texts) for name, parameters in _of(record)]
    missed = [name for (name, _), followed in zip(_of(record), strict, strict=True) if not followed]
    parts = {
        "instructions_strict": list(map(float, strict)),
        "instructions_loose": list(map(float, loose)),
        "prompts_loose": [float(all(loose))],
    }
    return Grade(all(strict), float(all(strict)), parts, f"not followed: {', '.join(missed)}" if missed else "")
