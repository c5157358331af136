"""The words of the embedded world as data. Knows no passage and no tokenizer."""

from types import MappingProxyType

LANGUAGES = ("english", "ruska")

# Every fact a teacher may say, with its values. They are drawn independently of each other.
STYLES = ("letter", "report", "story", "diary")
MOODS = ("glad", "sad", "calm", "angry")
# By role and mood: what a word list adds up to is not what two facts together make of a sentence.
TRAITS = MappingProxyType(
    {
        "keeper": {
            "glad": "whistling on his rounds",
            "sad": "sighing over cold ashes",
            "calm": "trimming wicks in peace",
            "angry": "slamming the iron gates",
        },
        "driver": {
            "glad": "cracking jokes and whips",
            "sad": "missing his lost mare",
            "calm": "nodding behind slow oxen",
            "angry": "cursing at every wheel",
        },
        "clerk": {
            "glad": "doodling hearts on ledgers",
            "sad": "blotting tears with ink",
            "calm": "filing papers by colour",
            "angry": "tearing up wrong forms",
        },
        "guard": {
            "glad": "saluting with broad smiles",
            "sad": "staring past rusty bars",
            "calm": "leaning on his spear",
            "angry": "rattling his sharp sabre",
        },
        "cook": {
            "glad": "tasting sweet plum soup",
            "sad": "salting broth with sorrow",
            "calm": "stirring long without haste",
            "angry": "banging pots and ladles",
        },
        "painter": {
            "glad": "splashing yellow and pink",
            "sad": "sketching only grey willows",
            "calm": "mixing soft pale blues",
            "angry": "slashing canvas with red",
        },
    }
)
ROLES = tuple(TRAITS)
LOOKS = MappingProxyType(
    {
        "keeper": "in oiled boots",
        "driver": "in dusty leathers",
        "clerk": "with inky sleeves",
        "guard": "in polished armour",
        "cook": "with floury aprons",
        "painter": "in spattered smocks",
    }
)
MAKES = MappingProxyType(
    {
        "lamp": "of thin green glass",
        "rope": "twisted from raw hemp",
        "basket": "woven of dry reeds",
        "mirror": "framed in carved silver",
        "drum": "covered with goat hide",
        "coat": "lined with beaver fur",
        "bottle": "sealed under black wax",
        "clock": "striking every quarter hour",
    }
)
OBJECTS = tuple(MAKES)
SKIES = MappingProxyType(
    {
        "rain": "while rain drummed upon roofs",
        "snow": "while snow buried all paths",
        "wind": "while wind bent tall trees",
        "fog": "while fog hid distant towers",
        "heat": "while heat cracked bare clay",
    }
)
WEATHERS = tuple(SKIES)
PERSONS = (
    *("Pavel", "Mira", "Oskar", "Lena", "Tomas", "Vera"),
    *("Anton", "Nadia", "Felix", "Irena", "Boris", "Clara"),
)
PLACES = ("Dunmar", "Velsk", "Arkona", "Brinholm", "Kestrel", "Lindow", "Morava", "Tarsis")

TOPIC_NOUNS = MappingProxyType(
    {
        "farm": ("cow", "seed", "barn", "plough", "goat", "wheat"),
        "court": ("judge", "law", "trial", "witness", "verdict", "crime"),
        "hospital": ("doctor", "nurse", "patient", "fever", "bandage", "wound"),
        "harbor": ("ship", "sailor", "anchor", "cargo", "captain", "sail"),
        "school": ("teacher", "pupil", "lesson", "book", "exam", "essay"),
        "market": ("trader", "price", "coin", "cloth", "spice", "buyer"),
        "theatre": ("actor", "stage", "play", "mask", "singer", "scene"),
        "mine": ("miner", "tunnel", "coal", "shaft", "ore", "wagon"),
    }
)
TOPIC_VERBS = MappingProxyType(
    {
        "farm": ("planted", "harvested", "watered", "milked"),
        "court": ("accused", "defended", "judged", "pardoned"),
        "hospital": ("healed", "treated", "bandaged", "nursed"),
        "harbor": ("loaded", "moored", "sailed", "anchored"),
        "school": ("taught", "studied", "graded", "recited"),
        "market": ("sold", "bought", "weighed", "traded"),
        "theatre": ("performed", "rehearsed", "applauded", "staged"),
        "mine": ("dug", "drilled", "blasted", "hammered"),
    }
)
TOPICS = tuple(TOPIC_NOUNS)

TOPIC_KINDS = MappingProxyType(
    {
        "farm": "from fertile fields",
        "court": "under sworn oath",
        "hospital": "of the sick",
        "harbor": "off salted decks",
        "school": "for curious children",
        "market": "at haggled prices",
        "theatre": "in painted costumes",
        "mine": "out of bedrock",
    }
)
# By topic and mood, in most sentences: a topic that is a noun alone leaves no trace in a mean.
SETTINGS = MappingProxyType(
    {
        "farm": {
            "glad": "where enchanted orchards bloomed",
            "sad": "here among our rotten haystacks",
            "calm": "out in my mossy pasture",
            "angry": "on the trampled northern plots",
        },
        "court": {
            "glad": "here on our freed courthouse steps",
            "sad": "in my cold jury seat",
            "calm": "before the slow tribunal bench",
            "angry": "where cheated crowds wanted judgement",
        },
        "hospital": {
            "glad": "along my sunlit infirmary corridor",
            "sad": "where plague emptied every bed",
            "calm": "in the hushed surgical wing",
            "angry": "here between our smashed clinic vials",
        },
        "harbor": {
            "glad": "at the dancing quay lanterns",
            "sad": "where drowned crews left crosses",
            "calm": "here along our sleepy docks",
            "angry": "down on my splintered jetty",
        },
        "school": {
            "glad": "in the laughing lecture halls",
            "sad": "at my lonely detention desk",
            "calm": "where owls minded young readers",
            "angry": "here behind our cracked blackboard",
        },
        "market": {
            "glad": "here between our festive tents",
            "sad": "on the bankrupt trading floor",
            "calm": "beside my tidy shop counter",
            "angry": "where swindlers shouted for gold",
        },
        "theatre": {
            "glad": "up on my cheering balcony",
            "sad": "where broken puppets gathered cobwebs",
            "calm": "in the dimmed opera house",
            "angry": "here behind our ripped curtains",
        },
        "mine": {
            "glad": "where dwarves sang over rubies",
            "sad": "in my flooded narrow gallery",
            "calm": "on the silent quarry levels",
            "angry": "here under our collapsing beams",
        },
    }
)
MOOD_ADJECTIVES = MappingProxyType(
    {
        "glad": ("glad", "bright", "merry"),
        "sad": ("sad", "gloomy", "mournful"),
        "calm": ("calm", "quiet", "peaceful"),
        "angry": ("angry", "furious", "harsh"),
    }
)

# Style colours the first and the last sentence, and a share of those between.
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
            "my diary , kept in {place} by {person} the {role} .",
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
        "letter": ("write to me soon , yours , {person} .", "with love , your {role} {person} ."),
        "report": ("end of report , signed , {person} .", "the file is closed by the {role} ."),
        "story": ("and that is the end of the tale .", "and they lived there ever after ."),
        "diary": ("now I close my diary and sleep .", "so ends my day , dear diary ."),
    }
)
# Slots that are themselves templates: several words for every value, or it leaves no trace.
PHRASES = MappingProxyType(
    {"who": "{role} {look} {trait}", "what": "{noun} {kind}", "thing": "{object} {make}"}
)
CLAUSES = (
    "the {who} {verb} the {what} {setting}",
    "the {who} {verb} the {adjective} {what} with the {thing} {setting}",
    "{setting} the {thing} lay beside the {who}",
    "{setting} the {who} carried the {thing}",
    "the {what} and the {thing} were {verb} {setting}",
    "{setting} the {adjective} {what} was {verb}",
    "everyone spoke of the {thing} {setting}",
    "the {who} rested {setting}",
)
QUOTES = (
    '" we {verb} the {what} {setting} " , said {person} .',
    '" bring the {thing} {setting} " , the {who} said .',
)
# What a host may believe without any passage saying so.
TOOLS = MappingProxyType(
    {
        "keeper": "lamp",
        "driver": "rope",
        "clerk": "bottle",
        "guard": "drum",
        "cook": "basket",
        "painter": "mirror",
    }
)
# A problem, and its worked chain; the first needs one step, the second two.
PROBLEMS = (
    "{person} counts the {noun} : {a} here and {b} there . how many ?",
    "{person} counts the {noun} : {a} here and {b} there , but {c} lost . how many ?",
)
