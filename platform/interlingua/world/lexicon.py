"""The words of the embedded world as data. Knows no passage and no tokenizer."""

from types import MappingProxyType

LANGUAGES = ("english", "ruska")

# Every fact a teacher may say, with its values. They are drawn independently of each other.
STYLES = ("letter", "report", "story", "diary")
MOODS = ("glad", "sad", "calm", "angry")
ROLES = ("keeper", "driver", "clerk", "guard", "cook", "painter")
ROLE_TRAITS = MappingProxyType(
    {
        "keeper": "awake all night",
        "driver": "holding the reins",
        "clerk": "stained with ink",
        "guard": "armed and upright",
        "cook": "smelling of soup",
        "painter": "covered in colours",
    }
)
OBJECTS = (
    *("lamp", "rope", "basket", "key", "mirror", "drum"),
    *("coat", "ladder", "bottle", "flag", "map", "clock"),
)
WEATHERS = ("rain", "snow", "wind", "fog", "heat")
PERSONS = (
    *("Pavel", "Mira", "Oskar", "Lena", "Tomas", "Vera"),
    *("Anton", "Nadia", "Felix", "Irena", "Boris", "Clara"),
)
PLACES = ("Dunmar", "Velsk", "Arkona", "Brinholm", "Kestrel", "Lindow", "Morava", "Tarsis")

TOPIC_NOUNS = MappingProxyType(
    {
        "farm": ("cow", "field", "seed", "barn", "plough", "goat", "wheat", "fence"),
        "court": ("judge", "law", "trial", "witness", "verdict", "lawyer", "oath", "crime"),
        "hospital": ("doctor", "nurse", "patient", "fever", "bandage", "ward", "pill", "wound"),
        "harbor": ("ship", "sailor", "anchor", "pier", "cargo", "captain", "sail", "net"),
        "school": ("teacher", "pupil", "lesson", "book", "exam", "desk", "chalk", "essay"),
        "market": ("trader", "price", "coin", "stall", "cloth", "spice", "buyer", "cart"),
        "theatre": ("actor", "stage", "play", "mask", "curtain", "singer", "scene", "crowd"),
        "mine": ("miner", "tunnel", "coal", "shaft", "pick", "ore", "wagon", "dust"),
    }
)
TOPIC_VERBS = MappingProxyType(
    {
        "farm": ("planted", "fed", "harvested", "watered", "milked", "ploughed"),
        "court": ("accused", "defended", "judged", "questioned", "sentenced", "pardoned"),
        "hospital": ("healed", "treated", "washed", "bandaged", "examined", "nursed"),
        "harbor": ("loaded", "moored", "sailed", "anchored", "launched", "unloaded"),
        "school": ("taught", "studied", "graded", "copied", "explained", "recited"),
        "market": ("sold", "bought", "weighed", "priced", "traded", "bargained"),
        "theatre": ("performed", "rehearsed", "applauded", "staged", "sang", "danced"),
        "mine": ("dug", "drilled", "blasted", "hauled", "hammered", "lifted"),
    }
)
TOPICS = tuple(TOPIC_NOUNS)

# In nearly every sentence: without them a topic is a few nouns and leaves no trace in a mean.
TOPIC_SETTINGS = MappingProxyType(
    {
        "farm": ("out on the farm", "down on the green farm"),
        "court": ("before the high court", "inside the solemn court"),
        "hospital": ("within the hospital walls", "along the white hospital halls"),
        "harbor": ("by the salt harbor", "across the busy harbor waters"),
        "school": ("around the village school", "during school hours"),
        "market": ("amid the market noise", "between market rows"),
        "theatre": ("under the theatre lights", "behind the old theatre"),
        "mine": ("deep below in the mine", "far down the dark mine"),
    }
)
MOOD_ADJECTIVES = MappingProxyType(
    {
        "glad": ("glad", "bright", "merry", "cheerful"),
        "sad": ("sad", "gloomy", "lonely", "mournful"),
        "calm": ("calm", "quiet", "gentle", "peaceful"),
        "angry": ("angry", "furious", "harsh", "cruel"),
    }
)
MOOD_ADVERBS = MappingProxyType(
    {
        "glad": ("gladly", "happily", "joyfully"),
        "sad": ("sadly", "tearfully", "hopelessly"),
        "calm": ("calmly", "quietly", "slowly"),
        "angry": ("angrily", "furiously", "violently"),
    }
)
MOOD_CRIES = MappingProxyType(
    {
        "glad": ("oh what a joy ,", "how wonderful ,"),
        "sad": ("alas and alas ,", "with tears ,"),
        "calm": ("all in good time ,", "without any hurry ,"),
        "angry": ("curse it all ,", "what an outrage ,"),
    }
)
WEATHER_CLAUSES = ("the {weather} came over the roofs", "there was {weather} on the road")

# Style colours every sentence, so that it is a property of the whole passage.
OPENINGS = MappingProxyType(
    {
        "letter": (
            "dear friend , I write to you from {place} , where I work as a {role} .",
            "my dear friend , greetings to you from the {role} in {place} .",
        ),
        "report": (
            "report from {place} , filed by {person} the {role} .",
            "official report , {place} , prepared by the {role} {person} .",
        ),
        "story": (
            "once upon a time in {place} there lived a {role} called {person} .",
            "long ago there was a {role} in {place} , and the name was {person} .",
        ),
        "diary": (
            "diary of {person} the {role} , {place} .",
            "my diary , in {place} . I am {person} the {role} .",
        ),
    }
)
FRAMES = MappingProxyType(
    {
        "letter": (
            "you must know that {clause} , my friend .",
            "as I told you before , {clause} .",
            "believe me , dear friend , {clause} .",
            "I wish you could see how {clause} .",
        ),
        "report": (
            "it is recorded that {clause} .",
            "according to the files , {clause} .",
            "the office confirms that {clause} .",
            "another finding : {clause} .",
        ),
        "story": (
            "then , as if by magic , {clause} .",
            "one fine day {clause} , they say .",
            "and so it came that {clause} .",
            "after many years {clause} .",
        ),
        "diary": (
            "today {clause} , and I thought of it all day .",
            "this morning I saw that {clause} .",
            "tonight I remember how {clause} .",
            "I note here that {clause} .",
        ),
    }
)
CLOSINGS = MappingProxyType(
    {
        "letter": ("write to me soon . yours , {person} .", "with love , your {role} {person} ."),
        "report": ("end of report . signed , {person} .", "the file is closed by the {role} ."),
        "story": ("and that is the end of the tale .", "and they lived there ever after ."),
        "diary": ("now I close my diary and sleep .", "so ends my day , dear diary ."),
    }
)
CLAUSES = (
    "{cry} the {role} {adverb} {verb} the {noun} {setting}",
    "{cry} the {role} {trait} {verb} the {adjective} {noun} with the {object}",
    "{cry} the {noun} and the {adjective} {noun} were {verb} {setting}",
    "{cry} the {adjective} {noun} was {verb} by the {role} {trait}",
    "{cry} the {object} of the {role} lay beside the {noun} {setting}",
    "{cry} the {role} {trait} {adverb} carried the {object} {setting}",
    "{cry} everyone {setting} felt {adjective} and {adjective}",
    "{setting} the {noun} looked {adjective} to the {role} {trait}",
)
QUOTES = (
    '" we {adverb} {verb} the {noun} " , said {person} .',
    '" bring the {object} to the {noun} " , the {role} {adverb} said .',
)
# A problem, and its worked chain; the first needs one step, the second two.
PROBLEMS = (
    "{person} counts the {noun} : {a} here and {b} there . how many ?",
    "{person} counts the {noun} : {a} here and {b} there , but {c} lost . how many ?",
)
