"""A language is named where a text shows it, and None where it does not."""

import pytest

from interlingua.sources.languages import language_of
from interlingua.specs.corpora import LANGUAGES

TEXTS = {
    "en": "The farmer went to the market with his daughter, but they were late and it was closed.",
    "de": "Der Bauer ging mit seiner Tochter auf den Markt, aber sie kamen zu spät und er war zu.",
    "fr": "Le fermier est allé au marché avec sa fille, mais ils sont arrivés en retard et il "
    "était fermé pour la journée.",
    "es": "El granjero fue al mercado con su hija, pero llegaron tarde y ya estaba cerrado por "
    "la fiesta del pueblo.",
    "it": "Il contadino è andato al mercato con la figlia, ma sono arrivati tardi e non era più "
    "aperto per il resto della giornata.",
    "pt": "O fazendeiro foi ao mercado com a filha, mas eles chegaram tarde e não havia mais "
    "ninguém para os atender na praça.",
    "nl": "De boer ging met zijn dochter naar de markt, maar ze waren te laat en het was al "
    "gesloten voor die dag.",
    "ru": "Крестьянин поехал на рынок с дочерью, но они опоздали, и он был уже закрыт.",
    "zh": "农夫和女儿去了市场，但是他们来晚了，市场已经关门。",
    "ja": "農夫は娘と市場へ行きましたが、遅れたので、もう閉まっていました。",
    "ko": "농부는 딸과 함께 시장에 갔지만 늦어서 이미 닫혀 있었다.",
    "ar": "ذهب الفلاح إلى السوق مع ابنته، ولكن السوق كان مغلقا في هذا اليوم من الأسبوع.",
}
OTHERS = {
    "sv": "Bonden gick till marknaden med sin dotter, men de kom för sent och den var stängd.",
    "da": "Bonden gik til markedet med sin datter, men de kom for sent, og det var lukket.",
    "pl": "Rolnik poszedł z córką na targ, ale spóźnili się i był już zamknięty.",
    "tr": "Çiftçi kızıyla birlikte pazara gitti ama geç kaldılar ve pazar kapalıydı.",
    "ro": "Fermierul a mers la piață cu fiica lui, dar au întârziat și era deja închisă.",
    "ca": "El pagès va anar al mercat amb la seva filla, però van arribar tard i els hi va dir.",
    "id": "Petani itu pergi ke pasar dengan putrinya, tetapi mereka terlambat dan sudah tutup.",
    "uk": "Селянин поїхав на ринок з донькою, але вони запізнилися, і він був уже зачинений.",
    "fa": "کشاورز با دخترش به بازار رفت، اما دیر رسیدند و بازار در آن روز بسته بود.",
    "el": "Ο αγρότης πήγε στην αγορά με την κόρη του, αλλά άργησαν.",
}


def test_every_language_is_known_by_a_sentence():
    assert {name: language_of(text) for name, text in TEXTS.items()} == {n: n for n in LANGUAGES}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_that_is_not_among_them_is_taken_for_none(language):
    assert language_of(OTHERS[language]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12 + 30 = 42",
        "Berlin",
        "x = f(y)",
        TEXTS["en"] + TEXTS["ru"],
        "de la de la",
        "okay then",
    ],
)
def test_a_text_that_shows_no_language_has_none(text):
    assert language_of(text) is None


def test_a_few_foreign_words_change_nothing():
    assert language_of(TEXTS["en"] + " 市場 рынок") == "en"
    assert language_of(TEXTS["zh"] + " GPT-4") == "zh"
    assert language_of(TEXTS["en"].upper()) == "en"
