"""The instructions of IFEval: each with responses that follow it and that do not, as the official checkers have it."""

from __future__ import annotations

from typing import Any

import pytest

from archc.bench.instructions import CHECKS, follows, graded_instructions, loosened, mistake, sentences
from archc.bench.languages import is_in
from tests.unit.test_programs import items

VERDICTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["red", "blue"]}, "Reddish and BLUE", "only red"),
    ("keywords:existence", {"keywords": ["("]}, "one (", "none"),
    ("keywords:frequency", {"keyword": "ha", "frequency": 3, "relation": "at least"}, "Ha ha aha", "ha ha"),
    ("keywords:frequency", {"keyword": "ha", "frequency": 3, "relation": "less than"}, "ha ha", "haha ha"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "concatenate", "a Cat!"),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 2, "let_relation": "at least"}, "Qq", "q"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "less than"}, "oh!", "oh!!"),
    ("language:response_language", {"language": "de"}, "Das ist nicht der Hund", "This is not the dog"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}, "One. Two.", "One"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Mr. A. B. went", "O! P?"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***\n", "a\n\nb"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a***b", "a\n*** ***\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "it's me", "two words"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "two words", "it's me"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "So"},
        'Well.\n\n"So, yes."',
        "So.\n\nWell.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "so"},
        "so it is\n\nand\nhow",
        "so\n\nit\n\nis",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b", ""),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP. P. S. more", "Bye.\nP.S. more"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\np.s. more", "Bye. PS: more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n  - b\n** c", "* a\n* b\n* c"),
    ("detectable_format:constrained_response", {}, "Well, My answer is maybe.", "my answer is maybe"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* *b*", "*a* ** *"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "**a**", "a * b"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Day", "num_sections": 2},
        "Day 1\nDay2",
        "Day 1, day 2",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', '{"a": 1} is it'),
    ("detectable_format:title", {}, "<<Joy>>\nSo be it", "<< >> and <Joy>"),
    ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
    ("combination:two_responses", {}, "a******b******", "a******b******c"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, " say it. Yes", "Yes: say it."),
    ("startend:end_checker", {"end_phrase": "That is all."}, '"… that is all."', "That is all. Bye"),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}, "I DO", "I do"),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "OK-OK", "A B"),
    ("change_case:english_capital", {}, "THIS IS IT", "THIS IS it"),
    ("change_case:english_capital", {}, "IT IS THE END OF IT", "DAS IST NICHT DAS ENDE"),
    ("change_case:english_lowercase", {}, "this is it", "This is it"),
    ("punctuation:no_comma", {}, "no; none", "one, two"),
    ("startend:quotation", {}, ' "so" ', '"so'),
]


@pytest.mark.parametrize(("name", "parameters", "good", "bad"), VERDICTS)
def test_a_response_follows_or_does_not(name: str, parameters: dict[str, Any], good: str, bad: str) -> None:
    if name == "detectable_content:number_placeholders":
        good, bad = "[a] and [b c]", "[a] and [b\n]"

    assert follows(good, name, **parameters)
    assert not follows(bad, name, **parameters)


def test_each_instruction_is_tried_and_nothing_follows_none() -> None:
    assert {name for name, *_ in VERDICTS} == CHECKS.keys()
    assert len(CHECKS) == 25
    assert not any(follows("  \n", name, **parameters) for name, parameters, *_ in VERDICTS)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("No end", 1),
        ("One. Two! Three? Four… no.", 4),
        ('He asked: "Why?" Then he left.', 2),
        ("Dr. Who met Mr. J. R. Smith at 5 p.m. on Monday.", 1),
        ("It costs 3.50 at example.com.", 1),
        ("1. First thing.\n2. Second thing.", 2),
        ("Wait... what? Yes!!!", 3),
        ("A line\nthat goes on.", 1),
        ("e.g. this one.", 1),
    ],
)
def test_sentences_are_counted_by_a_simple_rule(text: str, count: int) -> None:
    assert sentences(text) == count


LANGUAGES = "en es pt fr de it pl vi sw fi ru uk bg ar fa ur hi mr ne bn th ta te kn ml gu pa ko ja he"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "There is no such thing as a free lunch, and you know it."),
        ("es", "El perro está en la casa y no quiere salir por la puerta."),
        ("pt", "O cachorro está na casa e não quer sair pela porta do quarto."),
        ("fr", "Le chien est dans la maison et il ne veut pas sortir."),
        ("de", "Der Hund ist im Haus und will nicht durch die Tür gehen."),
        ("it", "Il cane è nella casa e non vuole uscire dalla porta."),
        ("pl", "Pies jest w domu i nie chce wyjść na dwór, bo się boi."),
        ("vi", "Con chó ở trong nhà và không muốn ra ngoài với tôi."),
        ("sw", "Mbwa yuko katika nyumba na hataki kutoka nje kwa sababu ya mvua."),
        ("fi", "Koira on talossa eikä se halua mennä ulos, mutta hän on iloinen."),
        ("ru", "Собака в доме, и она не хочет выходить на улицу."),
        ("uk", "Собака в домі, і вона не хоче виходити на вулицю, бо йде дощ. Це так."),
        ("bg", "Кучето е в къщата и не иска да излезе навън, защото се страхува."),
        ("ar", "الكلب في البيت ولا يريد أن يخرج من الباب إلى الشارع"),
        ("fa", "سگ در خانه است و نمی خواهد از در بیرون برود که باران را"),
        ("ur", "کتا گھر میں ہے اور باہر جانا نہیں چاہتا کیا یہ سچ ہے"),
        ("hi", "कुत्ता घर में है और वह बाहर नहीं जाना चाहता"),
        ("mr", "कुत्रा घरात आहे आणि त्या कुत्र्याला बाहेर जायचे नाही"),
        ("ne", "कुकुर घरमा छ र यो बाहिर जान चाहँदैन तर एक पनि छन्"),
        ("bn", "কুকুরটি বাড়িতে আছে"),
        ("th", "สุนัขอยู่ในบ้าน"),
        ("ta", "நாய் வீட்டில் இருக்கிறது"),
        ("te", "కుక్క ఇంట్లో ఉంది"),
        ("kn", "ನಾಯಿ ಮನೆಯಲ್ಲಿದೆ"),
        ("ml", "നായ വീട്ടിലുണ്ട്"),
        ("gu", "કૂતરો ઘરમાં છે"),
        ("pa", "ਕੁੱਤਾ ਘਰ ਵਿੱਚ ਹੈ"),
        ("ko", "개는 집에 있다"),
        ("ja", "犬は家にいます。"),
        ("he", "הכלב בבית"),
    ],
)
def test_the_thirty_languages_of_the_data_are_told_apart(language: str, text: str) -> None:
    assert [one for one in LANGUAGES.split() if is_in(text, one)] == [language]


def test_what_has_no_letters_can_be_in_any_language() -> None:
    assert is_in("42!", "fi")


def test_loose_verdicts_are_those_of_the_best_of_eight_forms() -> None:
    answer = "Sure, here it is:\n**so**"
    record = {"meta": {"instruction_id_list": ["punctuation:no_comma", "startend:end_checker"]}}
    record["meta"]["kwargs"] = [{"num_words": None}, {"end_phrase": "so"}]  # type: ignore[list-item]
    grade = graded_instructions(answer, record)

    assert loosened(answer) == [
        answer,
        "**so**",
        "Sure, here it is:",
        "",
        answer.replace("*", ""),
        "so",
        *loosened(answer)[2:4],
    ]
    assert (grade.correct, grade.parts["instructions_strict"]) == (False, [0.0, 0.0])
    assert (grade.parts["instructions_loose"], grade.parts["prompts_loose"]) == ([1.0, 1.0], [1.0])
    assert grade.why == "not followed: punctuation:no_comma, startend:end_checker"


def test_all_instructions_of_the_data_are_understood() -> None:
    _, known = items("ifeval")

    assert len(known) == 277
    assert {mistake(item.record) for item in known} == {""}
    assert all(graded_instructions("So it is.", item.record).parts for item in known)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"instruction_id_list": ["keywords:none"], "kwargs": [{}]}, "`keywords:none` is no instruction of IFEval"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": [{"words": []}]}, "are not the parameters"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": []}, "are not the parameters"),
        ({}, "it has no `instruction_id_list`"),
    ],
)
def test_what_cannot_be_checked_is_said(meta: dict[str, Any], said: str) -> None:
    assert said in mistake({"meta": meta})
