"""Who makes and who watches in the demo: twelve makers with a hand of their own, viewers with a taste."""

from dataclasses import dataclass, field
from itertools import zip_longest

from lightwell.apps.demo.pictures import Picture


@dataclass(frozen=True, slots=True)
class Maker:
    """A creator: home cell, public names, styles they draw in, ramps they like, and what they write."""

    cell: str
    handle: str
    name: str
    styles: tuple[str, ...]
    ramps: tuple[str, ...]
    tags: tuple[str, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to be made: who publishes it, what it looks like, its text, and which sound is under it."""

    key: str
    maker: Maker
    picture: Picture
    caption: str
    sound: int
    """Position in the sounds library, counted around."""
    sound_offset_ms: int


TURNS_BEFORE = 24
"""Turns after which the taste of some viewers turns, so that their feeds can be seen to follow."""


@dataclass(frozen=True, slots=True)
class Taste:
    """A simulated viewer: home cell, names, and how much of a clip with a tag is watched (0..1)."""

    cell: str
    handle: str
    name: str
    likes: dict[str, float]
    patience: float
    """Share of a clip that is watched when nothing in it is to their taste."""
    later: dict[str, float] = field(default_factory=dict)
    """What they like from their turn `TURNS_BEFORE` on, for those whose taste turns."""

    def at(self, turn: int) -> dict[str, float]:
        """What they like at one of their turns, counted from 0."""
        return self.later if self.later and turn >= TURNS_BEFORE else self.likes


MAKERS: tuple[Maker, ...] = (
    Maker(
        "us",
        "mira.folds",
        "Mira Okafor",
        ("silk", "silk", "ribbons"),
        ("sunrise", "violet", "plum"),
        ("generative", "slowlight"),
        (
            "three layers of noise and one patient sunrise",
            "the cloth remembers where the light was",
            "folding the evening into quarters",
            "one warm crease, then dark again",
            "soft physics, no gravity",
            "a curtain that thinks about opening",
        ),
    ),
    Maker(
        "us",
        "tidewright",
        "Jonah Reyes",
        ("ripples", "lava"),
        ("lagoon", "ice", "peacock"),
        ("water", "slowlight"),
        (
            "five stones, thrown at once, forever",
            "rings that pass without asking",
            "low tide in a bowl",
            "the pond at the back of the office",
            "what rain looks like from below",
            "still, apart from everything moving",
        ),
    ),
    Maker(
        "us",
        "glasshouse",
        "Priya Nair",
        ("cells", "cells", "kaleidoscope"),
        ("moss", "plum", "peacock"),
        ("mosaic", "geometry"),
        (
            "every cell minds its neighbours",
            "stained glass with a pulse",
            "the nearest point wins, every frame",
            "a map of who is closest to whom",
            "leading and light",
            "twenty-six windows and a slow wind",
        ),
    ),
    Maker(
        "us",
        "ridgeline",
        "Sam Whitehorse",
        ("dunes",),
        ("sunrise", "neon", "rosewater", "copper"),
        ("landscape", "horizon"),
        (
            "seven ridges before breakfast",
            "the sun takes the long way up",
            "a road trip with no road",
            "far hills are only paler hills",
            "evening, folded into layers",
            "one light for the whole valley",
        ),
    ),
    Maker(
        "us",
        "northroom",
        "Ingrid Dahl",
        ("aurora",),
        ("lagoon", "ice", "violet", "moss"),
        ("aurora", "nightsky"),
        (
            "curtains, no window",
            "the sky doing its slow laundry",
            "minus twenty and worth it",
            "green first, then everything",
            "somebody left the north on",
            "breathing light over the lake",
        ),
    ),
    Maker(
        "us",
        "wheelhouse",
        "Theo Marsh",
        ("kaleidoscope", "rose"),
        ("rosewater", "ice", "neon", "copper"),
        ("geometry", "symmetry"),
        (
            "six mirrors and a bad idea",
            "turn it until it agrees with itself",
            "petals by division",
            "the middle holds, for once",
            "what a clock would draw on its day off",
            "eight times the same small wave",
        ),
    ),
    Maker(
        "us",
        "threadbare",
        "Lucia Fontana",
        ("lissajous", "weave"),
        ("neon", "peacock", "ember"),
        ("lines", "oscillation"),
        (
            "two sines walk into a room",
            "one thread, no scissors",
            "three to five, and home again",
            "over, under, over, breathe",
            "drawing a knot without lifting the pen",
            "cloth at the speed of thought",
        ),
    ),
    Maker(
        "us",
        "emberline",
        "Dave Kowalski",
        ("smoke", "lava"),
        ("ember", "sunrise", "rosewater"),
        ("fire", "abstract"),
        (
            "a fire that does not need wood",
            "smoke with nowhere to be",
            "the warm end of the lamp",
            "drops that cannot decide",
            "slow burn, seven seconds",
            "embers talking after everyone left",
        ),
    ),
    Maker(
        "sg",
        "harbour.lights",
        "Wei Ling Tan",
        ("bokeh",),
        ("sunrise", "peacock", "neon", "copper"),
        ("nightcity", "slowlight"),
        (
            "the harbour with my glasses off",
            "last ferry, first rain",
            "traffic, but kind",
            "every window somebody's evening",
            "focus is overrated",
        ),
    ),
    Maker(
        "sg",
        "spindrift",
        "Arun Prakash",
        ("drift", "drift", "tunnel"),
        ("violet", "ice", "ember"),
        ("particles", "nightsky"),
        (
            "five hundred sparks, one current",
            "following the stream around the room",
            "plankton, or the galaxy, or dust",
            "all of them on the same way home",
            "a slow fall into the middle",
        ),
    ),
    Maker(
        "sg",
        "spiralist",
        "Nadia Rahman",
        ("tunnel", "rose"),
        ("ink", "plum", "lagoon"),
        ("spiral", "geometry"),
        (
            "the way down is also the way round",
            "four arms, no hurry",
            "ink in a slow drain",
            "a flower that keeps counting",
            "inwards, without arriving",
        ),
    ),
    Maker(
        "sg",
        "warpandweft",
        "Kenji Mori",
        ("weave", "ribbons"),
        ("copper", "moss", "ice"),
        ("textile", "lines"),
        (
            "a basket for light",
            "the loom hums in copper",
            "ribbons from a very long parcel",
            "crossing without touching",
            "cloth that is mostly air",
        ),
    ),
)

VIEWERS: tuple[Taste, ...] = (
    Taste("us", "ana.quiet", "Ana", {"slowlight": 1.0, "water": 0.9, "aurora": 0.8}, 0.25),
    Taste("us", "bo_lines", "Bo", {"lines": 1.0, "geometry": 0.9, "oscillation": 0.9}, 0.15),
    Taste(
        "us",
        "cass.fire",
        "Cass",
        {"fire": 1.0, "abstract": 0.9, "landscape": 0.6},
        0.2,
        {"water": 1.0, "aurora": 0.9},
    ),
    Taste("us", "dev.sky", "Dev", {"aurora": 1.0, "nightsky": 1.0, "horizon": 0.8}, 0.3),
    Taste("us", "eli_mosaic", "Eli", {"mosaic": 1.0, "geometry": 0.8, "symmetry": 0.9}, 0.2),
    Taste("us", "fern", "Fern", {"landscape": 1.0, "horizon": 1.0, "water": 0.7}, 0.35),
    Taste(
        "us",
        "gus.nights",
        "Gus",
        {"nightcity": 1.0, "nightsky": 0.8, "particles": 0.9},
        0.2,
        {"geometry": 1.0, "lines": 0.9},
    ),
    Taste("us", "hana.threads", "Hana", {"textile": 1.0, "lines": 0.9, "generative": 0.8}, 0.25),
    Taste("sg", "ivy.harbour", "Ivy", {"nightcity": 1.0, "slowlight": 0.9}, 0.3),
    Taste("sg", "jun_spiral", "Jun", {"spiral": 1.0, "symmetry": 0.9, "geometry": 0.8}, 0.2),
    Taste("sg", "kai.water", "Kai", {"water": 1.0, "slowlight": 0.8, "aurora": 0.7}, 0.25),
    Taste("sg", "lena.warm", "Lena", {"fire": 1.0, "landscape": 0.8, "generative": 0.8}, 0.2),
)

DEMO_VIEWER = Taste("us", "you", "You", {}, 0.0)
"""The viewer that the person at the screen signs in as; nobody acts for them."""


def clips() -> list[Clip]:
    """Return every clip of the demo, makers taking turns so that the first few already differ."""
    by_maker: list[list[Clip]] = []
    for m, maker in enumerate(MAKERS):
        mine = []
        for i, words in enumerate(maker.captions):
            ramp = maker.ramps[i % len(maker.ramps)]
            second = maker.ramps[(i + 1) % len(maker.ramps)]
            picture = Picture(
                style=maker.styles[i % len(maker.styles)],
                ramp=ramp,
                second_ramp=second,
                seed=1000 * m + 17 * i + 5,
                seconds=6.0 + 0.5 * ((3 * m + 2 * i) % 5),
            )
            tags = " ".join(f"#{tag}" for tag in maker.tags)
            mine.append(
                Clip(f"{maker.handle}/{i}", maker, picture, f"{words} {tags}", m + 5 * i, 1000 * (i % 3))
            )
        by_maker.append(mine)
    return [clip for turn in zip_longest(*by_maker) for clip in turn if clip is not None]
