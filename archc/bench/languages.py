"""Languages: whether a text can be in one, by its letters and its commonest words. Coarse, without a model."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_SCRIPTS: Final = {
    "latin": "a-zA-Z\u00c0-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u04ff",
    "arabic": "\u0600-\u06ff\ufb50-\ufdff\ufe70-\ufeff",
    "devanagari": "\u0900-\u097f",
    "kana": "\u3040-\u30ff",
    "han": "\u4e00-\u9fff",
    "hangul": "\uac00-\ud7af\u1100-\u11ff",
    "hebrew": "\u0590-\u05ff",
    "thai": "\u0e00-\u0e7f",
    "bengali": "\u0980-\u09ff",
    "gurmukhi": "\u0a00-\u0a7f",
    "gujarati": "\u0a80-\u0aff",
    "tamil": "\u0b80-\u0bff",
    "telugu": "\u0c00-\u0c7f",
    "kannada": "\u0c80-\u0cff",
    "malayalam": "\u0d00-\u0d7f",
    "greek": "\u0370-\u03ff",
}
_LETTERS: Final = {script: re.compile(f"[{letters}]") for script, letters in _SCRIPTS.items()}

_ALONE: Final = {
    "kana": "ja",
    "han": "zh",
    "hangul": "ko",
    "hebrew": "he",
    "thai": "th",
    "bengali": "bn",
    "gurmukhi": "pa",
    "gujarati": "gu",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "greek": "el",
}
"""Scripts that one language has for itself here."""

_WORDS: Final = {
    "latin": {
        "en": "the of and to in is that it was for with as on be you this are not have but they at from or i my your",
        "es": "el la los las de que y en un una es por con para se del al lo como pero su más está muy",
        "pt": "o os as de que e em um uma é por com para não se do da dos das ao como mas mais seu sua você são",
        "fr": "le la les de des et en un une est que qui dans pour pas ce il elle je vous nous sur avec au du plus",
        "de": "der die das und ist nicht ein eine zu den dem mit auf für von im sie ich es auch sich wie bei oder",
        "it": "il lo la gli le di che e un una è per con non si del della in sono ma come più anche nel questo",
        "pl": "i w na z się nie to że do jest o jak a ale po co tak za od czy przez dla są być",
        "vi": "là của và có không được cho một những các trong với này đã để người khi như tôi bạn đến về",
        "sw": "ya na wa kwa ni katika za la kuwa hii yake cha kama lakini pia hiyo watu sana wake hivyo yako",
        "fi": "ja on ei se että oli hän en mutta niin kuin ovat ole myös voi tämä sen joka jos mitä sekä tai",
    },
    "cyrillic": {
        "ru": "и в не на я что он с как это по но они мы она все так его за из у же вы для от ы э",
        "uk": "і в не на що я та з як це у до він але ми вони й є за його від або також які бути",
        "bg": "и на да в се не от за е са че с по като това но ще си има към той които беше съм",
    },
    "arabic": {
        "ar": "في من على إلى أن التي الذي هذا هذه عن مع كان لا ما هو هي كل بعد أو و",
        "fa": "و در به از که این را با است برای آن یک خود تا کرد بر هم می شود های",
        "ur": "کے میں کی ہے اور سے کا کو اس پر کہ ہیں نے ایک بھی یہ کیا تھا جو نہیں",
    },
    "devanagari": {
        "hi": "के में की है और से का को इस पर कि हैं ने एक भी यह जो नहीं कर लिए था हो",
        "mr": "आहे आणि या च्या व ते हे की तो मध्ये एक होते आहेत नाही केले साठी करून त्या झाले आपण",
        "ne": "छ र को मा हो गर्न पनि छन् भएको यो लागि एक गरेको थियो त्यो हरू लाई तर गर्ने भन्ने",
    },
}
_KNOWN: Final = {
    script: {language: frozenset(words.split()) for language, words in languages.items()}
    for script, languages in _WORDS.items()
}
_WORD: Final = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0900-\u0d7f]+[^\W\d_]*)*")


def is_in(text: str, language: str) -> bool:
    """Whether most letters are of the language's script, and no other language has more of its commonest words in it.

    A text without letters, or with none of these words, can be in any language of its script.
    """
    counts = Counter({script: len(letters.findall(text)) for script, letters in _LETTERS.items()})
    if counts["kana"]:
        counts["kana"] += counts.pop("han")
    script, most = counts.most_common(1)[0]
    if not most:
        return True
    if script in _ALONE:
        return _ALONE[script] == language.partition("-")[0]
    languages = _KNOWN[script]
    if language not in languages:
        return False
    words = Counter(_WORD.findall(text.lower()))
    found = {name: sum(words[word] for word in known) for name, known in languages.items()}
    return found[language] == max(found.values())
