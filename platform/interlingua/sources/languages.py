"""The language of a text, by script and by the words that every text of a language has.

Knows twelve languages, and some more only to tell them from these. Where it is not sure it says so.
"""

import re
from collections import Counter
from functools import cache

from interlingua.specs.corpora import LANGUAGES

MOST_CHARACTERS = 4000  # a language shows sooner
LEAST_SHARE, LEAST_WORDS, LEAST_RATIO = 0.1, 2.0, 1.5
LEAST_OF_SCRIPT, LEAST_KANA, MOST_STRAY_KANA = 0.7, 0.1, 0.02

_SCRIPTS = {
    "latin": re.compile(r"[a-z\u00df-\u024f]"),
    "cyrillic": re.compile(r"[\u0400-\u052f]"),
    "arabic": re.compile(r"[\u0620-\u06d3]"),
    "hangul": re.compile(r"[\u1100-\u11ff\uac00-\ud7a3]"),
    "kana": re.compile(r"[\u3040-\u30ff]"),
    "han": re.compile(r"[\u3400-\u9fff\uf900-\ufaff]"),
}
_WORD = re.compile(r"[^\W\d_]+")

# Frequent words of the languages by script; some are not among LANGUAGES.
_FREQUENT = {
    "latin": {
        "en": "the of and to in is was for that it on with as by at from are be this were his had "
        "has have not but they which you their or an been will there",
        "de": "der die das und ist nicht ein eine mit von zu den dem des auf sich im auch es wird "
        "als aus bei nach wurde sind war oder dass einen einer um wie haben",
        "fr": "le la les et des est une dans du pour que qui sur pas au avec il elle sont par ce "
        "cette ont plus aux nous vous mais ou ses qu l d c en un",
        "es": "el la los las y del que en es una por con para se no lo como su al fue son este "
        "esta ha pero sus entre cuando muy sobre un",
        "it": "il di che la e in un una per non sono con del della si le da dei nel gli al come "
        "anche alla delle era questo ha dell l lo",
        "pt": "o os as e do da dos das que em um uma para com por no na se mais foi ao como pelo "
        "pela seu sua muito mas ser tem",
        "nl": "de het een en van is dat niet op te zijn voor met die aan er om ook als bij naar "
        "uit werd wordt hij maar deze dit door over heeft ik",
        "sv": "och att det som en av den med inte till ett har jag var om han men hade vid efter",
        "da": "og det som en af den med ikke til er et har jeg var han men der blev efter ved",
        "pl": "i w na z do nie jest to się że o jak po od za przez dla był oraz ale",
        "tr": "ve bir bu da de için ile olarak çok daha olan gibi sonra ne var kadar",
        "ro": "și de la cu pe din este un o care nu mai sunt pentru să al a fost prin lui",
        "ca": "el la els les i de que en un una per amb no és del com al més seva pel",
        "id": "yang dan di ke dari untuk dengan ini itu pada tidak adalah dalam akan juga oleh",
    },
    "cyrillic": {
        "ru": "и в не на что с по это как но из от был была к у же он для или чтобы его так",
        "uk": "і в не на що з до це як але та від був у для або й її",
        "bg": "и в не на да се от за е са като със по но че този ги",
    },
    "arabic": {
        "ar": "في من على إلى أن التي الذي هذا هذه كان ما لا عن مع و بعد كما هو هي لم كانت",
        "fa": "و در به از که این را با است آن برای یک",
        "ur": "کے کی کا میں ہے اور سے کو کہ نے پر ہیں",
    },
}


def language_of(text: str) -> str | None:
    """The code of a text's language, one of LANGUAGES; None where it is another or not sure."""
    lowered = text[:MOST_CHARACTERS].lower()
    letters = {script: len(found.findall(lowered)) for script, found in _SCRIPTS.items()}
    han_or_kana = letters["han"] + letters["kana"]
    total = sum(letters.values())
    if not total:
        return None
    if han_or_kana >= LEAST_OF_SCRIPT * total:
        kana = letters["kana"] / han_or_kana
        return "ja" if kana >= LEAST_KANA else "zh" if kana <= MOST_STRAY_KANA else None
    script = max(letters, key=lambda name: letters[name])
    if letters[script] < LEAST_OF_SCRIPT * total:
        return None
    return "ko" if script == "hangul" else _by_words(lowered, script)


def _by_words(text: str, script: str) -> str | None:
    """The language whose frequent words are by far the most of a text's."""
    languages_of, words = _languages_of(script), _WORD.findall(text)
    scores = {"": 0.0}
    for word, count in Counter(words).items():
        owners = languages_of.get(word, ())
        for language in owners:
            # Shared: `de` alone is evidence of nothing.
            scores[language] = scores.get(language, 0.0) + count / len(owners)
    best, rival = [*sorted(scores, key=lambda name: -scores[name]), ""][:2]
    least = max(LEAST_WORDS, LEAST_SHARE * len(words), LEAST_RATIO * scores[rival])
    return best if scores[best] >= least and best in LANGUAGES else None


@cache
def _languages_of(script: str) -> dict[str, tuple[str, ...]]:
    """The languages of every frequent word of a script."""
    owners: dict[str, tuple[str, ...]] = {}
    for language, words in _FREQUENT[script].items():
        for word in dict.fromkeys(words.split()):
            owners[word] = (*owners.get(word, ()), language)
    return owners
