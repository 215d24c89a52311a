"""The words and pictures of the demonstration. `manage.py seed_demo` turns them into pages."""

from datetime import date
from typing import Any

from home.drawings import Palette

SPRUCE = Palette("#e6e4d8", "#2f4f43", "#c08a55", "#d9733f", "#1f332c", "#efe9da")
CHALK = Palette("#d9c7b4", "#f1ece1", "#a9764a", "#8f3f2f", "#5a3a30", "#f8f3e8")
INK = Palette("#c9d3d6", "#24405e", "#e7e2d8", "#e2b13c", "#182a40", "#f3efe4")
PLUM = Palette("#e9d5cd", "#6b2f42", "#b98252", "#3c6e71", "#3f1c2a", "#f6ebe2")
OCHRE = Palette("#efe3c6", "#c58f2c", "#8a5a33", "#39594d", "#5c3d17", "#f8f0dc")
FOG = Palette("#cfd8cf", "#8fa596", "#e4ddcf", "#b4573d", "#3d4d47", "#f4f1e6")
HEARTH = Palette("#dde5e1", "#b24a2e", "#d8b98c", "#2f5d62", "#6f2a1d", "#f3ece0")

# name: (palette, scene, options, description)
PICTURES: dict[str, tuple[Palette, str, dict[str, str], str]] = {
    "front-door": (
        HEARTH,
        "kitchen",
        {"style": "shaker", "tile": "stack", "view": "shelves"},
        "Brick-red cupboards with a pale wall, two shelves of crockery and green tiles",
    ),
    "mill-lane": (
        SPRUCE,
        "kitchen",
        {"style": "shaker", "tile": "brick", "view": "window"},
        "Dark green shaker cupboards under a wide window, with an oak worktop",
    ),
    "mill-lane-bread": (SPRUCE, "still", {"kind": "bread"}, "A loaf, a bottle and two apples on an oak worktop"),
    "harbour-row": (
        INK,
        "kitchen",
        {"style": "reeded", "tile": "slab", "view": "shelves"},
        "Reeded ink-blue fronts, a pale stone worktop and two long shelves",
    ),
    "harbour-row-citrus": (INK, "still", {"kind": "citrus"}, "A blue bowl of oranges beside a yellow jug"),
    "old-dairy": (
        CHALK,
        "kitchen",
        {"style": "shaker", "tile": "square", "view": "tiled"},
        "Chalk-white cupboards and a wall of square tiles hung with copper pans",
    ),
    "old-dairy-arches": (CHALK, "study", {"kind": "arches"}, "Four arches in the colours of the Old Dairy"),
    "fig-house": (
        PLUM,
        "kitchen",
        {"style": "flat", "tile": "stack", "view": "tall-left"},
        "Plum-coloured flat fronts with stacked sea-green tiles",
    ),
    "fig-house-cards": (PLUM, "study", {"kind": "cards"}, "A fan of seven painted colour cards"),
    "granary": (
        OCHRE,
        "kitchen",
        {"style": "shaker", "tile": "stack", "view": "shelves"},
        "Ochre cupboards below open shelves, in afternoon light",
    ),
    "granary-pots": (OCHRE, "still", {"kind": "pots"}, "Three thrown pots and a bowl of fruit on a walnut board"),
    "north-light": (
        FOG,
        "kitchen",
        {"style": "flat", "tile": "brick", "view": "window"},
        "Grey-green flat fronts and a pale worktop beneath a north window",
    ),
    "north-light-still": (FOG, "still", {"kind": "pots"}, "Pots in grey, green and terracotta in a shaft of light"),
    "plan": (INK, "plan", {}, "A kitchen's floor plan in white on blue, with a pencil"),
    "dovetail": (SPRUCE, "joinery", {}, "The dovetailed corner of an oak drawer with a brass knob"),
    "terrazzo": (CHALK, "study", {"kind": "terrazzo"}, "Terrazzo with chips of red, brown and sand"),
    "workshop": (CHALK, "workshop", {}, "Chisels, a saw and a plane above the workshop bench"),
    "windows": (PLUM, "dial", {}, "One window at five hours of the day"),
    "cards-fog": (FOG, "study", {"kind": "cards"}, "Paint cards in grey-greens and terracotta"),
    "terrazzo-ink": (OCHRE, "study", {"kind": "terrazzo"}, "Terrazzo with chips of ochre and green"),
    "bench": (OCHRE, "workshop", {}, "A joiner's bench with tools on a panelled wall"),
    "citrus-plum": (PLUM, "still", {"kind": "citrus"}, "A plum-coloured bowl of oranges beside a jug"),
    "arches-fog": (FOG, "study", {"kind": "arches"}, "Arches in grey-green and terracotta"),
}

HOME: dict[str, Any] = {
    "title": "Acme Kitchens",
    "headline": "Kitchens drawn, built and fitted by the same eleven people",
    "lead": "We make about twenty a year, in solid timber, in a former thread mill above the river Calder. "
    "Each starts with a colour and ends with a drawer that shuts by itself.",
    "image": "front-door",
    "closing": "Tell us about the room. A photograph and a tape measure are enough to begin.",
}


def text(*paragraphs: str) -> tuple[str, str]:
    return "text", "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)


def facts(**entries: str) -> tuple[str, Any]:
    return "facts", {"facts": [{"term": k.replace("_", " ").capitalize(), "value": v} for k, v in entries.items()]}


def palette(*swatches: tuple[str, str, str]) -> tuple[str, Any]:
    return "palette", {"swatches": [{"colour": c, "name": n, "where": w} for c, n, w in swatches]}


def figure(image: str, caption: str = "") -> tuple[str, Any]:
    return "figure", {"image": image, "caption": caption}


def pair(left: str, right: str, caption: str = "") -> tuple[str, Any]:
    return "pair", {"left": left, "right": right, "caption": caption}


def quote(words: str, who: str) -> tuple[str, Any]:
    return "quote", {"text": words, "who": who}


PROJECTS: list[dict[str, Any]] = [
    {
        "slug": "mill-lane",
        "title": "Mill Lane",
        "place": "Hebden",
        "year": 2025,
        "tint": "#cfd9d0",
        "image": "mill-lane",
        "lead": "A long, low room with one good window. We put everything beneath it and left the opposite wall empty.",
        "body": [
            text(
                "The house had been a weaver's cottage, then two flats, then a house again, and the kitchen had "
                "moved each time. It now runs along the south wall in one line of seven units, so that whoever "
                "cooks has the valley in front of them.",
                "The green is mixed with a little of the orange from the lamp. It is the reason the two agree.",
            ),
            facts(
                fronts="Tulipwood, hand-painted",
                worktop="Oiled oak, 34 mm",
                handles="Unlacquered brass",
                time="Nine weeks in the workshop, six days on site",
            ),
            palette(
                ("#2f4f43", "Spruce", "Fronts"),
                ("#e6e4d8", "Limewash", "Walls"),
                ("#c08a55", "Oak", "Worktop"),
                ("#d9733f", "Clay pot", "Lamp"),
                ("#efe9da", "Oat", "Woodwork"),
            ),
            figure("mill-lane-bread", "The oak is oiled four times before it leaves us, and once a year after that."),
            quote("We stopped using the dining room.", "Ruth, who lives there"),
        ],
    },
    {
        "slug": "harbour-row",
        "title": "Harbour Row",
        "place": "Whitby",
        "year": 2025,
        "tint": "#d3dde3",
        "image": "harbour-row",
        "lead": "Reeded fronts the colour of the sea in October, and not one wall cupboard.",
        "body": [
            text(
                "Salt air is hard on hinges and harder on paint. The fronts are reeded in quarter-sawn ash, which "
                "moves least, and finished with an oil paint that can be mended by anyone with a brush.",
                "Two shelves do the work of six cupboards. The clients say they own fewer things now.",
            ),
            palette(
                ("#24405e", "October", "Fronts"),
                ("#c9d3d6", "Sea fret", "Walls"),
                ("#e7e2d8", "Shell", "Worktop"),
                ("#e2b13c", "Oilskin", "Jug"),
            ),
            figure("harbour-row-citrus"),
            facts(
                fronts="Reeded ash",
                worktop="Limestone, honed",
                shelves="Reclaimed pitch pine",
                time="Eleven weeks in the workshop, eight days on site",
            ),
        ],
    },
    {
        "slug": "the-old-dairy",
        "title": "The Old Dairy",
        "place": "Masham",
        "year": 2024,
        "tint": "#ecdccd",
        "image": "old-dairy",
        "lead": "A cold, tiled room that wanted to stay a cold, tiled room, only with supper in it.",
        "body": [
            text(
                "Most of the tiles were there. We matched the missing third with a potter twelve miles away, who "
                "fired four batches until one was as uneven as the originals.",
                "The pans hang where the cheese cloths hung, on the same iron rail.",
            ),
            pair("old-dairy-arches", "terrazzo", "The scheme as a drawing, and the floor as it was found."),
            quote("They kept asking what the room had been for. It turned out to be the right question.", "Tom, owner"),
            palette(
                ("#f1ece1", "Chalk", "Fronts"),
                ("#d9c7b4", "Buttermilk", "Walls"),
                ("#8f3f2f", "Oxide", "Lamps"),
                ("#5a3a30", "Peat", "Larder"),
            ),
        ],
    },
    {
        "slug": "fig-house",
        "title": "Fig House",
        "place": "Leeds",
        "year": 2024,
        "tint": "#ecd9d6",
        "image": "fig-house",
        "lead": "The client brought a fig, cut in half, and said: that one.",
        "body": [
            text(
                "Plum is a difficult neighbour. It swallows light, and makes timber look orange. The sea-green tiles "
                "are there to calm the timber down, and the wall is the pink of the fig's rind.",
                "Flat fronts, so that the colour is the only ornament.",
            ),
            figure("fig-house-cards", "Seven cards from the forty-one that were painted."),
            facts(
                fronts="Birch ply, flat, hand-painted",
                worktop="Cherry",
                tiles="Stacked, by hand",
                time="Eight weeks in the workshop, five days on site",
            ),
        ],
    },
    {
        "slug": "the-granary",
        "title": "The Granary",
        "place": "Skipton",
        "year": 2023,
        "tint": "#f0e2bd",
        "image": "granary",
        "lead": "A barn faces west. From four o'clock the kitchen is the colour of its own cupboards.",
        "body": [
            text(
                "The building is listed, so that nothing could touch the walls. The whole kitchen stands on its own "
                "feet, four centimetres clear, and could be walked out through the cart door in an afternoon.",
                "The walnut came down in a storm two fields away and had been drying in the barn for nine years.",
            ),
            figure("granary-pots", "Walnut, from two fields away."),
            palette(
                ("#c58f2c", "Stubble", "Fronts"),
                ("#efe3c6", "Straw", "Walls"),
                ("#39594d", "Hedge", "Lamp"),
                ("#8a5a33", "Walnut", "Worktop"),
            ),
        ],
    },
    {
        "slug": "north-light",
        "title": "North Light",
        "place": "Ilkley",
        "year": 2023,
        "tint": "#d9e2d8",
        "image": "north-light",
        "lead": "A painter's kitchen, in the greys that a painter would choose.",
        "body": [
            text(
                "North light never changes its mind. The fronts are a grey-green that looks the same at nine and at "
                "five, which was the whole of the brief.",
                "Terracotta was allowed in one place only, and moves about the room.",
            ),
            pair("north-light-still", "cards-fog"),
            facts(
                fronts="Maple, flat",
                worktop="Sintered stone",
                lighting="None by day",
                time="Seven weeks in the workshop, five days on site",
            ),
        ],
    },
]

SERVICES: list[dict[str, Any]] = [
    {
        "slug": "drawing",
        "title": "Drawing",
        "number": "1",
        "image": "plan",
        "lead": "We measure the room, watch you cook in it, and draw it by hand before anything is drawn by computer.",
        "body": [
            text(
                "The first drawing is made in your kitchen, in pencil, with you in the way. It takes a morning. It "
                "settles nine tenths of what matters: where you stand, what you reach for, and what you look at.",
                "A week later you have a plan, two elevations and a price that does not move.",
            ),
            facts(
                takes="One morning and one week",
                costs="£450, taken off the kitchen if we build it",
                you_get="A plan, elevations, a colour study and a fixed price",
            ),
            figure("arches-fog", "A colour study comes with every plan."),
        ],
    },
    {
        "slug": "joinery",
        "title": "Joinery",
        "number": "2",
        "image": "dovetail",
        "lead": "Solid drawers, dovetailed; doors that hang true; backs as good as the fronts.",
        "body": [
            text(
                "All our drawers are dovetailed in oak. It is slower, and you will not see it, and in thirty years "
                "it will still be the reason that they run.",
                "Each kitchen is one person's work from the first board to the last coat. Their name is under the "
                "sink.",
            ),
            facts(
                timber="Oak, ash, maple, tulipwood; European, certified",
                drawers="Dovetailed, 15 mm",
                guarantee="Twenty-five years",
            ),
            figure("bench"),
        ],
    },
    {
        "slug": "stone-and-tile",
        "title": "Stone & tile",
        "number": "3",
        "image": "terrazzo",
        "lead": "Worktops cut from one slab, terrazzo poured in our own yard, tiles from potters we know by name.",
        "body": [
            text(
                "We choose the slab with you, standing up, in daylight. Photographs of stone are always wrong.",
                "Terrazzo we pour ourselves, from the offcuts of other kitchens, so that no two are alike.",
            ),
            figure("terrazzo-ink", "Offcuts of four kitchens, poured in the spring."),
        ],
    },
    {
        "slug": "fitting-and-after",
        "title": "Fitting & after",
        "number": "4",
        "image": "workshop",
        "lead": "The people who built it fit it, within a fortnight, and come back after a year with a plane.",
        "body": [
            text(
                "We lay our own floors, hang our own doors and sweep up. Plumbing and electrics are done by two firms "
                "that we have worked with since 1994.",
                "After twelve months of heating and steam, timber has found its place. We come back, unasked, with "
                "a plane and a screwdriver.",
            ),
            facts(on_site="Five to ten working days", after="One visit at twelve months, included"),
        ],
    },
]

ARTICLES: list[dict[str, Any]] = [
    {
        "slug": "five-hours-of-one-window",
        "title": "Five hours of one window",
        "date": date(2026, 3, 12),
        "author": "Ines Calder",
        "image": "windows",
        "lead": "Paint is chosen at ten in the morning and lived with at seven in the evening. What to do about it.",
        "body": [
            text(
                "A colour card is a promise made in somebody else's light. Before we mix anything, we leave five "
                "painted boards in the room for a week, and ask the people who live there to turn them when they "
                "pass.",
                "By Thursday one is usually facing the wall. That is the most useful thing we learn.",
            ),
            ("heading", "Morning lies"),
            text(
                "Morning light is blue and flattering. It makes grey look like stone and white look like linen. If a "
                "scheme only works before eleven, it is a scheme for a bakery.",
                "Look again at four, and once more with the lamps on. A colour that survives the lamps will survive "
                "everything else.",
            ),
            quote("If a scheme only works before eleven, it is a scheme for a bakery.", ""),
            figure("fig-house-cards", "Boards for Fig House, before the vote."),
            ("heading", "What we do"),
            text(
                "We paint boards of sixty by forty centimetres, two coats, and no smaller: a small sample is read as "
                "an object, a large one as a wall. We stand them upright, at the height of the fronts. And we wait."
            ),
        ],
    },
    {
        "slug": "in-praise-of-the-dovetail",
        "title": "In praise of the dovetail",
        "date": date(2026, 1, 22),
        "author": "Martin Oake",
        "image": "dovetail",
        "lead": "It cannot be pulled apart in the one direction in which a drawer is pulled. That is the whole idea.",
        "body": [
            text(
                "A drawer is opened perhaps nine times a day. That is a hundred thousand pulls in thirty years, each "
                "of them an attempt to take the front off.",
                "Screws loosen and glue grows tired. The dovetail does not depend on either. It is held by its shape, "
                "and the harder you pull, the tighter it sits.",
            ),
            ("heading", "Cut by hand?"),
            text(
                "The first one, always; it sets the angle for the rest. After that we use a machine that was made in "
                "1961 and that sounds like it."
            ),
            figure("bench", "The machine is behind the photographer."),
        ],
    },
    {
        "slug": "a-floor-made-of-leftovers",
        "title": "A floor made of leftovers",
        "date": date(2025, 11, 6),
        "author": "Ines Calder",
        "image": "terrazzo-ink",
        "lead": "Every worktop leaves a box of corners behind. In spring we empty the boxes.",
        "body": [
            text(
                "Terrazzo began as thrift: Venetian masons took home the chips that nobody paid them for. Ours is "
                "made the same way. Each kitchen leaves about eleven kilograms of stone, and by April there is enough "
                "for a floor.",
                "Sorting is the slow part. Colours that were chosen to be alone have to learn to sit together.",
            ),
            pair("terrazzo", "terrazzo-ink", "2024 and 2025."),
            text("The recipe is three of large, two of small and one of dust, and a week of not touching it."),
        ],
    },
    {
        "slug": "the-case-against-wall-cupboards",
        "title": "The case against wall cupboards",
        "date": date(2025, 9, 18),
        "author": "Joan Pell",
        "image": "harbour-row",
        "lead": "They hold what you never use at a height where you cannot reach it.",
        "body": [
            text(
                "Take everything out of your wall cupboards and put back only what you have used since Easter. In "
                "most houses that is one shelf.",
                "So we build one shelf. The wall behind it becomes a wall again, the room becomes thirty centimetres "
                "wider where your head is, and the good plates are in sight, which is to say in use.",
            ),
            facts(what_stays="Plates, bowls, glasses, salt", what_goes="The fondue set"),
            figure("harbour-row-citrus"),
        ],
    },
    {
        "slug": "oil-it-once-a-year",
        "title": "Oil it once a year",
        "date": date(2025, 6, 2),
        "author": "Martin Oake",
        "image": "granary-pots",
        "lead": "How to look after a timber worktop in forty minutes, most of which are spent waiting.",
        "body": [
            text(
                "Clear it. Wash it with warm water and very little soap, and let it dry overnight. Rub it along the "
                "grain with a grey pad until it feels like paper."
            ),
            (
                "text",
                "<ol><li>Pour a saucer of oil and spread it with a cloth, thinly.</li><li>Wait for twenty "
                "minutes. Read something.</li><li>Wipe off all that has not gone in; what stays will be "
                "sticky.</li><li>Lay the cloth flat outdoors to dry: oily rags in a ball can catch "
                "fire.</li></ol>",
            ),
            figure("mill-lane-bread"),
        ],
    },
]

SECTIONS: list[dict[str, Any]] = [
    {
        "slug": "projects",
        "title": "Projects",
        "kind": "project",
        "children": PROJECTS,
        "lead": "Six of the kitchens that we would show you first, each named after its house.",
    },
    {
        "slug": "services",
        "title": "Services",
        "kind": "content",
        "children": SERVICES,
        "lead": "Four things, in this order. You can stop after the first and keep the drawing.",
    },
    {
        "slug": "journal",
        "title": "Journal",
        "kind": "article",
        "children": ARTICLES,
        "lead": "Notes from the bench, on light, timber and what to do with the fondue set.",
    },
]

PAGES: list[dict[str, Any]] = [
    {
        "slug": "about",
        "title": "About us",
        "number": "",
        "image": "bench",
        "lead": "Eleven people in a former thread mill. We have been making kitchens there since 1987.",
        "body": [
            text(
                "Acme was founded by two boatbuilders who ran out of boats. They kept the habits of the trade: curves "
                "where a hand goes, nothing that rattles, and a place for everything because the floor might move.",
                "There are eleven of us now. Six make, two draw, one paints, one keeps the books, and one, who was a "
                "founder, comes in on Tuesdays to find fault.",
            ),
            facts(founded="1987", people="Eleven", kitchens_a_year="About twenty", waiting_time="Five months"),
            figure("workshop", "The long bench, on a Tuesday."),
            quote("A kitchen is a boat that stays where it is.", "Arthur Vane, founder"),
            text(
                "We take on two apprentices every other year. If you would like to be one, come and see us; we do not "
                "read letters of application, but we do put the kettle on."
            ),
        ],
    },
    {
        "slug": "contact",
        "title": "Contact",
        "number": "",
        "image": "north-light-still",
        "lead": "The workshop is open to visitors on Fridays. Coffee is from three.",
        "body": [
            facts(
                workshop="Calder Thread Mill, Bridge Row, Hebden",
                telephone="01632 960 142",
                mail="hello@acme-kitchens.example",
                fridays="Nine until five; everybody is welcome",
            ),
            text(
                "For a first answer we need three things: a photograph from the door, the length of the longest wall, "
                "and what annoys you most about the kitchen you have.",
                "We reply within two days, and never by salesman.",
            ),
        ],
    },
]
