"""A bundle without models whose explanations are hostile, and in letters of many kinds."""

from dataclasses import replace

from tests.explorer.talking import Talking, talking_card

DIGEST = "0123456789abcdef" * 4
TREE, HEBREW = "\U0001f332", "\u05e9\u05dc\u05d5\u05dd"
HOSTILE = f"place {{}} {TREE} {HEBREW} <img src=x onerror=alert(1)> \x01 'quoted' end"


def verbose() -> Talking:
    """Of place n a text with markup, a control character, and letters from the right."""
    card = replace(talking_card(), digest=DIGEST)
    return Talking(card=card, says=lambda place, sample: HOSTILE.format(place))
