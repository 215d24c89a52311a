"""Pictures of kitchens, drawn.

The demonstration needs photographs that nobody has to license, download or keep in git. These are
flat studies in the manner of a poster: a few shapes, a small palette, low sun, some grain. The
same name and palette always give the same pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1600, 1066
SCALE = 2  # drawn larger and reduced: that is what smooths the edges

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Six colours carry a picture."""

    wall: str
    front: str
    top: str
    accent: str
    dark: str
    light: str


def rgb(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(first: str, second: str, share: float) -> str:
    """`first` with `share` of `second` in it."""
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(rgb(first), rgb(second), strict=True))


class Canvas:
    """Drawing in the coordinates of the finished picture."""

    def __init__(self, ground: str) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), ground)
        self.pen = ImageDraw.Draw(self.image)

    def box(self, x: float, y: float, w: float, h: float, fill: str, radius: float = 0) -> None:
        corners = [round(v * SCALE) for v in (x, y, x + w, y + h)]
        corners[2] = max(corners[2] - 1, corners[0])
        corners[3] = max(corners[3] - 1, corners[1])
        self.pen.rounded_rectangle(corners, radius * SCALE, fill=fill)

    def shape(self, points: list[Point], fill: str) -> None:
        self.pen.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=fill)

    def disc(self, x: float, y: float, r: float, fill: str, ry: float | None = None) -> None:
        ry = r if ry is None else ry
        self.pen.ellipse([(x - r) * SCALE, (y - ry) * SCALE, (x + r) * SCALE, (y + ry) * SCALE], fill=fill)

    def slice(self, x: float, y: float, r: float, start: float, end: float, fill: str, ry: float | None = None) -> None:
        ry = r if ry is None else ry
        self.pen.pieslice([(x - r) * SCALE, (y - ry) * SCALE, (x + r) * SCALE, (y + ry) * SCALE], start, end, fill=fill)

    def line(self, points: list[Point], fill: str, width: float) -> None:
        self.pen.line(
            [(x * SCALE, y * SCALE) for x, y in points], fill=fill, width=max(1, round(width * SCALE)), joint="curve"
        )

    def veil(self, points: list[Point], colour: str, opacity: float, blur: float = 0) -> None:
        """A translucent shape: shade or sunlight."""
        # A soft edge needs no pixels: the mask is made small and enlarged.
        small = 4 if blur > 3 else 1
        mask = Image.new("L", (self.image.width // small, self.image.height // small), 0)
        ImageDraw.Draw(mask).polygon(
            [(x * SCALE / small, y * SCALE / small) for x, y in points], fill=round(opacity * 255)
        )
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * SCALE / small))
        if small > 1:
            mask = mask.resize(self.image.size, Image.Resampling.BILINEAR)
        self.image.paste(colour, (0, 0), mask)

    def shade(self, x: float, y: float, w: float, h: float, opacity: float = 0.25, blur: float = 12) -> None:
        self.veil([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], "#14110e", opacity, blur)

    def wood(self, rng: Random, x: float, y: float, w: float, h: float, colour: str, upright: bool = False) -> None:
        """A board: its colour, and lines that wander along it."""
        self.box(x, y, w, h, colour)
        length, across = (h, w) if upright else (w, h)
        for _ in range(max(4, round(across / 5))):
            at = rng.uniform(1, max(1.5, across - 1))
            bend, phase, turns = rng.uniform(0, across * 0.035), rng.uniform(0, 6.3), rng.uniform(0.5, 2.2)
            tone = mix(colour, rng.choice(["#2b1a0c", "#2b1a0c", "#fff3dd"]), rng.uniform(0.05, 0.16))
            start, end = sorted((rng.uniform(-0.2, 0.7), rng.uniform(0.3, 1.2)))
            path = []
            for step in range(25):
                along = min(max(start + (end - start) * step / 24, 0), 1)
                off = min(max(at + bend * math.sin(phase + turns * along * 6.3), 1), across - 1)
                path.append((x + off, y + along * length) if upright else (x + along * length, y + off))
            self.line(path, tone, rng.uniform(0.7, 1.9))

    def finish(self, rng: Random) -> bytes:
        """Reduce, add the grain of a print, and encode."""
        image = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        speckle = Image.frombytes("L", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT))
        speckle = speckle.filter(ImageFilter.GaussianBlur(0.7)).point(lambda v: 128 + (v - 128) // 6)
        grain = Image.merge("RGB", [speckle] * 3)
        image = ImageChops.overlay(image, grain)
        out = BytesIO()
        image.save(out, "JPEG", quality=86, optimize=True, progressive=True)
        return out.getvalue()


# -- things that stand about ---------------------------------------------------------------------


def vase(c: Canvas, x: float, foot: float, h: float, colour: str, waist: float = 0.5) -> None:
    """A thrown pot, turned from a profile."""
    r = h * 0.34
    left, right = [], []
    for step in range(41):
        t = step / 40
        belly = math.sin(math.pi * min(t * 1.15 + 0.12, 1.0)) ** 0.8
        neck = 0.34 + 0.1 * math.cos((t - 1) * 9) if t > 0.78 else 0
        width = r * max(belly, neck, 0.38 * waist)
        left.append((x - width, foot - t * h))
        right.append((x + width, foot - t * h))
    c.shape(left + right[::-1], colour)
    lit = [(x + (px - x) * 0.25, py) for px, py in right] + [(px, py) for px, py in right[::-1]]
    c.veil(lit, "#14110e", 0.16, 4)


def bowl(c: Canvas, x: float, foot: float, w: float, colour: str, fruit: str | None = None) -> None:
    h = w * 0.42
    if fruit:
        for dx, dy, r in ((-0.22, 0.02, 0.15), (0.2, 0.0, 0.16), (0.0, -0.08, 0.17)):
            c.disc(x + dx * w, foot - h + dy * w, r * w, mix(fruit, "#000000", 0.05 if dx else 0.0))
            c.disc(x + (dx - 0.04) * w, foot - h + (dy - 0.05) * w, r * w * 0.35, mix(fruit, "#ffffff", 0.25))
    c.slice(x, foot - h, w / 2, 0, 180, colour, ry=h * 0.94)
    c.box(x - w * 0.16, foot - h * 0.1, w * 0.32, h * 0.1, mix(colour, "#000000", 0.18))
    c.veil(
        [(x + w * 0.1, foot - h), (x + w / 2, foot - h), (x + w * 0.3, foot - h * 0.3), (x, foot)], "#14110e", 0.14, 5
    )


def bottle(c: Canvas, x: float, foot: float, h: float, colour: str) -> None:
    w = h * 0.27
    c.box(x - w / 2, foot - h * 0.64, w, h * 0.64, colour, w * 0.22)
    c.shape(
        [
            (x - w / 2, foot - h * 0.58),
            (x + w / 2, foot - h * 0.58),
            (x + w * 0.17, foot - h * 0.76),
            (x - w * 0.17, foot - h * 0.76),
        ],
        colour,
    )
    c.box(x - w * 0.17, foot - h, w * 0.34, h * 0.3, colour, 3)
    c.box(x - w * 0.2, foot - h, w * 0.4, h * 0.07, mix(colour, "#000000", 0.35), 2)
    c.box(x - w * 0.34, foot - h * 0.55, w * 0.1, h * 0.44, mix(colour, "#ffffff", 0.3), 4)


def plant(c: Canvas, rng: Random, x: float, foot: float, h: float, pot: str, leaf: str) -> None:
    base = foot - h * 0.3
    for n in range(9):
        angle = math.radians(-90 + (n - 4) * 17 + rng.uniform(-5, 5))
        length = h * rng.uniform(0.5, 0.72)
        tip = (x + math.cos(angle) * length, base + math.sin(angle) * length)
        side = (-math.sin(angle) * h * 0.07, math.cos(angle) * h * 0.07)
        mid = (x + math.cos(angle) * length * 0.55, base + math.sin(angle) * length * 0.55)
        tone = mix(leaf, rng.choice(["#ffffff", "#0d1a12"]), rng.uniform(0.02, 0.2))
        c.shape([(x, base), (mid[0] + side[0], mid[1] + side[1]), tip, (mid[0] - side[0], mid[1] - side[1])], tone)
    c.shape([(x - h * 0.17, base), (x + h * 0.17, base), (x + h * 0.12, foot), (x - h * 0.12, foot)], pot)
    c.box(x - h * 0.19, base - h * 0.02, h * 0.38, h * 0.06, mix(pot, "#ffffff", 0.12), 2)


def branches(c: Canvas, rng: Random, x: float, y: float, h: float, stem: str, bud: str) -> None:
    for n in range(4):
        lean = (n - 1.5) * 0.3 + rng.uniform(-0.06, 0.06)
        path = [(x + lean * h * (t / 12) ** 1.5, y - h * (t / 12) * rng.uniform(0.98, 1.0)) for t in range(13)]
        c.line(path, stem, 3)
        for px, py in path[4:]:
            side = rng.choice((-1, 1))
            c.disc(px + side * h * 0.035, py, h * rng.uniform(0.016, 0.03), mix(bud, "#ffffff", rng.uniform(0, 0.3)))


def pendant(c: Canvas, x: float, y: float, r: float, colour: str, light: str) -> None:
    c.line([(x, -5), (x, y - r * 0.9)], "#1b1b1b", 2.5)
    c.box(x - r * 0.16, y - r * 1.02, r * 0.32, r * 0.3, "#1b1b1b", 3)
    c.slice(x, y, r, 180, 360, colour, ry=r * 0.86)
    c.veil([(x + r * 0.2, y - r * 0.8), (x + r, y), (x + r * 0.1, y)], "#14110e", 0.22, 6)
    c.slice(x, y, r * 0.42, 0, 180, light, ry=r * 0.18)
    c.veil(
        [(x - r * 0.8, y), (x + r * 0.8, y), (x + r * 2.6, y + r * 6), (x - r * 2.6, y + r * 6)], "#fff4d6", 0.10, 34
    )


def pan(c: Canvas, x: float, y: float, r: float, colour: str) -> None:
    c.line([(x, y - r * 1.9), (x, y - r * 0.8)], mix(colour, "#000000", 0.25), r * 0.16)
    c.disc(x, y - r * 1.86, r * 0.14, mix(colour, "#000000", 0.25))
    c.disc(x, y, r, colour)
    c.disc(x - r * 0.03, y - r * 0.03, r * 0.84, mix(colour, "#ffffff", 0.12))
    c.slice(x - r * 0.03, y - r * 0.03, r * 0.84, 20, 200, mix(colour, "#000000", 0.06))


def mug(c: Canvas, x: float, foot: float, w: float, colour: str) -> None:
    c.disc(x + w * 0.56, foot - w * 0.48, w * 0.28, colour)
    c.disc(x + w * 0.56, foot - w * 0.48, w * 0.16, mix(colour, "#000000", 0.45))
    c.box(x - w / 2, foot - w, w, w, colour, w * 0.12)
    c.veil([(x + w * 0.1, foot - w), (x + w / 2, foot - w), (x + w / 2, foot), (x + w * 0.1, foot)], "#14110e", 0.13, 4)


def window(c: Canvas, x: float, y: float, w: float, h: float, p: Palette, columns: int = 2) -> None:
    frame = mix(p.light, "#ffffff", 0.55)
    c.box(x - 16, y - 16, w + 32, h + 32, frame)
    c.box(x, y, w, h, mix("#cfe3ea", p.light, 0.35))
    c.disc(x + w * 0.7, y + h * 0.3, h * 0.12, "#fff6dc")
    c.shape(
        [
            (x, y + h * 0.66),
            (x + w * 0.3, y + h * 0.5),
            (x + w * 0.62, y + h * 0.68),
            (x + w, y + h * 0.54),
            (x + w, y + h),
            (x, y + h),
        ],
        mix(p.front, "#dfeae0", 0.5),
    )
    c.shape(
        [(x, y + h * 0.82), (x + w * 0.45, y + h * 0.7), (x + w, y + h * 0.8), (x + w, y + h), (x, y + h)],
        mix(p.front, "#dfeae0", 0.25),
    )
    for n in range(1, columns):
        c.box(x + w * n / columns - 5, y, 10, h, frame)
    c.box(x, y + h * 0.42, w, 9, frame)
    c.box(x - 30, y + h + 16, w + 60, 15, mix(p.light, "#ffffff", 0.4))
    c.shade(x - 26, y + h + 31, w + 52, 9, 0.16, 6)


# -- pictures -------------------------------------------------------------------------------------


def tiles(c: Canvas, rng: Random, x: float, y: float, w: float, h: float, colour: str, kind: str) -> None:
    """A splashback. The grout is the ground; every tile comes out of the kiln a little different."""
    c.box(x, y, w, h, mix(colour, "#ffffff", 0.35) if kind != "slab" else colour)
    if kind == "slab":
        for _ in range(7):
            px, py = rng.uniform(x, x + w), y
            path = [(px, py)]
            while py < y + h:
                px, py = min(max(px + rng.uniform(-34, 42), x), x + w), min(py + rng.uniform(10, 34), y + h)
                path.append((px, py))
            c.line(path, mix(colour, rng.choice(["#ffffff", "#3d3a38"]), 0.22), rng.uniform(0.8, 2.6))
        return
    tw, th = {"brick": (84, 34), "stack": (34, 96), "square": (58, 58)}[kind]
    row, top = 0, y
    while top < y + h - 1:
        left = x - (tw / 2 if kind == "brick" and row % 2 else 0)
        while left < x + w:
            a, b = max(left, x), min(left + tw - 3, x + w)
            if b - a > 2:
                tone = mix(colour, rng.choice(["#ffffff", "#000000"]), rng.uniform(0, 0.09))
                c.box(a, top, b - a, min(th - 3, y + h - top), tone, 1.5)
            left += tw
        top += th
        row += 1


def front(c: Canvas, x: float, y: float, w: float, h: float, colour: str, brass: str, kind: str, drawer: bool) -> None:
    """One door or drawer."""
    c.box(x, y, w, h, mix(colour, "#000000", 0.34))
    c.box(x + 3, y + 3, w - 6, h - 6, colour, 2)
    if kind == "shaker" and h > 70:
        c.box(x + 25, y + 25, w - 50, h - 50, mix(colour, "#000000", 0.13))
        c.box(x + 28, y + 29, w - 55, h - 56, mix(colour, "#000000", 0.05))
    elif kind == "reeded":
        n = max(4, round((w - 14) / 13))
        for i in range(n):
            at = x + 7 + i * (w - 14) / n
            c.box(at, y + 7, (w - 14) / n * 0.42, h - 14, mix(colour, "#000000", 0.13))
    if drawer:
        c.shade(x + w / 2 - 30, y + 25, 60, 8, 0.2, 3)
        c.box(x + w / 2 - 32, y + 18, 64, 8, brass, 4)
    else:
        c.disc(x + w - 20, y + 42, 8, mix(brass, "#000000", 0.25))
        c.disc(x + w - 21, y + 40, 7.5, brass)


def kitchen(rng: Random, p: Palette, style: str = "shaker", tile: str = "brick", view: str = "window") -> Canvas:
    """A wall of units seen straight on, with the sun coming in from the left."""
    c = Canvas(p.wall)
    floor, plinth, top, wall_end = 985.0, 940.0, 610.0, 1600.0
    brass = "#c9a45c" if style != "reeded" else "#2a2624"

    c.box(0, floor, WIDTH, HEIGHT - floor, mix(p.light, "#6b5138", 0.45))
    for n in range(9):
        c.line([(n * 230.0 - 160, HEIGHT), (n * 200.0, floor)], mix(p.light, "#6b5138", 0.62), 1.6)

    tall = 372.0
    left = view != "tall-left"
    units_from, units_to = (0.0, wall_end - tall) if left else (tall, wall_end)
    tall_at = units_to if left else 0.0

    splash = 150.0 if view != "tiled" else 470.0
    tiles(
        c,
        rng,
        units_from,
        top - splash,
        units_to - units_from,
        splash,
        mix(p.accent, p.light, 0.55) if tile != "slab" else mix(p.top, p.wall, 0.25),
        tile,
    )

    if view in ("window", "tall-left"):
        wx = units_from + (units_to - units_from) * 0.36
        window(c, wx, 110, 440, 300, p, columns=3)
        c.veil([(wx + 60, 460), (wx + 420, 460), (wx + 700, HEIGHT), (wx + 210, HEIGHT)], "#fff0c9", 0.16, 20)
    if view == "tiled":
        for n in range(5):
            pan(c, units_from + 330 + n * 120, 330 - (n % 2) * 12, 62 - n * 6, mix("#b5653a", p.dark, 0.12 * n))
        c.box(units_from + 240, 206, 620, 11, "#241f1c", 5)
    if view == "shelves":
        for y in (205.0, 375.0):
            x0, x1 = units_from + 170, units_to - 150
            c.shade(x0, y + 20, x1 - x0, 16, 0.2, 9)
            c.wood(rng, x0, y, x1 - x0, 20, mix(p.light, "#9c6b3f", 0.62))
            at = x0 + 60
            while at < x1 - 90:
                kind = rng.choice(("vase", "bowl", "stack", "bottle", "mug", "gap"))
                tone = rng.choice((p.accent, p.light, p.dark, p.front, mix(p.accent, p.light, 0.5)))
                if kind == "vase":
                    vase(c, at, y, rng.uniform(84, 118), tone)
                elif kind == "bowl":
                    bowl(c, at + 8, y, 92, tone)
                elif kind == "bottle":
                    bottle(c, at, y, 118, tone)
                elif kind == "mug":
                    mug(c, at, y, 46, tone)
                elif kind == "stack":
                    for k in range(5):
                        c.box(at - 46 + k, y - 9 * (k + 1), 92 - 2 * k, 7.5, mix(tone, "#ffffff", 0.07 * k), 4)
                at += rng.uniform(104, 142)

    # the base units
    x = units_from
    widths = []
    while x < units_to - 1:
        w = min(rng.choice((214.0, 246.0, 268.0)), units_to - x)
        if units_to - x - w < 150:
            w = units_to - x
        widths.append((x, w))
        x += w
    c.box(units_from, plinth, units_to - units_from, floor - plinth, mix(p.dark, "#000000", 0.35))
    for n, (x, w) in enumerate(widths):
        h = plinth - top - 34
        y = top + 34
        if n % 3 == 1:
            third = h / 3
            for k in range(3):
                front(c, x, y + k * third, w, third, p.front, brass, style, True)
        elif w > 200 and n % 3 == 0:
            front(c, x, y, w / 2, h, p.front, brass, style, False)
            front(c, x + w / 2, y, w / 2, h, p.front, brass, style, False)
        else:
            front(c, x, y, w, 78, p.front, brass, "flat", True)
            front(c, x, y + 78, w, h - 78, p.front, brass, style, False)
    c.shade(units_from, top + 32, units_to - units_from, 24, 0.3, 9)
    if tile == "slab" or style == "reeded":
        c.box(units_from, top, units_to - units_from, 34, p.top)
        c.box(units_from, top, units_to - units_from, 4, mix(p.top, "#ffffff", 0.45))
    else:
        c.wood(rng, units_from, top, units_to - units_from, 34, p.top)
        c.box(units_from, top, units_to - units_from, 3, mix(p.top, "#ffffff", 0.3))

    # the tall unit
    half = tall / 2
    c.box(tall_at, 60, tall, floor - 60, mix(p.dark, "#000000", 0.35))
    tone = p.dark if view != "shelves" else p.front
    c.box(tall_at, 42, tall, 20, mix(tone, "#ffffff", 0.08))
    for k in range(2):
        front(c, tall_at + k * half, 62, half, 270, tone, brass, style, False)
        front(c, tall_at + k * half, 332, half, plinth - 332, tone, brass, style, False)
    edge = tall_at - 26 if left else tall_at + tall
    c.shade(edge, 60, 26, plinth - 60, 0.2, 12)

    # on the worktop
    stand = top + 2
    fruit = mix(p.accent, "#d9522f", 0.75)
    near, far = units_from + 92, units_to - 250
    c.shade(near, stand - 8, 260, 12, 0.25, 6)
    left_group = rng.choice(("plant", "branches", "loaf"))
    if left_group == "plant":
        plant(c, rng, near + 48, stand, 230, p.accent, "#3f6b4c" if p.front != "#3f6b4c" else "#7d9a5b")
        bottle(c, near + 170, stand, 150, mix(p.dark, p.accent, 0.25))
        vase(c, near + 248, stand, 120, p.light)
    elif left_group == "branches":
        branches(c, rng, near + 60, stand - 150, 190, mix(p.dark, "#3a2a1a", 0.5), mix(p.accent, p.light, 0.3))
        vase(c, near + 60, stand, 165, mix(p.accent, p.light, 0.15))
        mug(c, near + 160, stand, 52, p.light)
        mug(c, near + 250, stand, 52, mix(p.dark, p.light, 0.2))
    else:
        c.wood(rng, near, stand - 16, 210, 16, "#8a5a33")
        c.slice(near + 105, stand - 14, 82, 180, 360, "#b9773b", ry=70)
        for n in range(3):
            c.line([(near + 62 + n * 34, stand - 62 + abs(n - 1) * 9), (near + 80 + n * 34, stand - 40)], "#e7c48f", 5)
        bottle(c, near + 256, stand, 170, mix(p.dark, p.accent, 0.25))
    c.shade(far - 100, stand - 8, 300, 12, 0.25, 6)
    right_group = rng.choice(("board", "plates", "leaves"))
    if right_group == "board":
        c.wood(rng, far + 60, stand - 170, 116, 170, "#a8713f", True)
        bowl(c, far - 20, stand, 190, mix(p.light, "#ffffff", 0.3), fruit)
    elif right_group == "plates":
        for k in range(7):
            c.box(far - 100 + k, stand - 10 * (k + 1), 150 - 2 * k, 8.5, mix(p.light, p.accent, 0.12 * (k % 3)), 4)
        vase(c, far + 130, stand, 160, p.accent)
    else:
        plant(c, rng, far + 130, stand, 190, p.light, "#4b7355")
        bowl(c, far - 20, stand, 170, mix(p.accent, p.light, 0.25), "#dd8a2c")
    tap = units_from + (units_to - units_from) * 0.36 + 230
    c.line([(tap, stand), (tap, stand - 120)], brass, 11)
    c.line(
        [
            (tap + 50 * (1 - math.cos(a / 10 * math.pi)), stand - 120 - 48 * math.sin(a / 10 * math.pi))
            for a in range(11)
        ],
        brass,
        11,
    )
    c.line([(tap + 100, stand - 120), (tap + 100, stand - 98)], brass, 11)

    if view in ("shelves", "tiled"):
        c.veil([(0, 90), (0, 700), (980, HEIGHT), (1500, HEIGHT)], "#fff0c9", 0.14, 22)
    if view != "shelves":
        for n in range(3 if view == "tiled" else 1):
            offset = 300 + n * 300 if view == "tiled" else 190
            pendant(c, units_from + offset, 150, 66, p.accent if n % 2 == 0 else p.dark, "#fff3d0")
    return c


def still(rng: Random, p: Palette, kind: str = "pots") -> Canvas:
    """Things on a worktop, close to."""
    c = Canvas(p.wall)
    top = 742.0
    c.veil([(0, 0), (620, 0), (1180, top), (330, top)], "#fff3d4", 0.34, 26)
    c.veil([(760, 0), (960, 0), (1500, top), (1290, top)], "#fff3d4", 0.26, 26)
    c.wood(rng, 0, top, WIDTH, 250, p.top)
    c.box(0, top, WIDTH, 6, mix(p.top, "#ffffff", 0.35))
    c.box(0, 986, WIDTH, 80, mix(p.top, "#1a0f06", 0.55))
    stand = top + 92

    def cast(x: float, w: float) -> None:
        c.veil(
            [(x - w / 2, stand - 14), (x + w / 2, stand - 18), (x + w * 1.7, stand + 26), (x - w * 0.1, stand + 26)],
            "#1a1006",
            0.32,
            11,
        )

    if kind == "pots":
        for x, h in ((360, 430), (620, 300), (1190, 360)):
            cast(x, h * 0.55)
        branches(c, rng, 360, stand - 410, 330, mix(p.dark, "#3a2a1a", 0.4), mix(p.light, p.accent, 0.3))
        vase(c, 360, stand, 430, p.accent)
        vase(c, 620, stand, 300, p.light, 0.9)
        vase(c, 1190, stand, 360, p.dark)
        cast(900, 300)
        bowl(c, 900, stand, 330, p.front, "#d8733b")
        cast(1420, 120)
        mug(c, 1420, stand, 130, mix(p.light, "#ffffff", 0.4))
    elif kind == "bread":
        cast(640, 560)
        c.wood(rng, 330, stand - 46, 640, 46, "#9a6534")
        c.slice(650, stand - 40, 250, 180, 360, "#b9773b", ry=210)
        for n in range(4):
            x = 500 + n * 96
            c.line([(x, stand - 120 - (90 if 0 < n < 3 else 50)), (x + 52, stand - 120)], "#e7c48f", 11)
        cast(1130, 170)
        bottle(c, 1130, stand, 430, mix(p.front, "#1d2a1e", 0.3))
        cast(1330, 200)
        vase(c, 1330, stand, 250, p.light)
        c.disc(230, stand - 66, 68, "#cf4a32")
        c.disc(150, stand - 46, 48, "#d9b04a")
    else:  # citrus
        cast(800, 640)
        bowl(c, 800, stand, 640, p.front)
        for n, dx in enumerate((-190, -60, 80, 200)):
            orange = ("#e8a93a", "#dd8a2c", "#ecc04f", "#e09a30")[n]
            c.disc(800 + dx, stand - 300 + (18 if n in (0, 3) else -34), 100, orange)
            c.disc(800 + dx - 26, stand - 330 + (18 if n in (0, 3) else -34), 30, "#f4d58a")
        c.slice(800, stand - 269, 322, 0, 180, p.front, ry=256)
        c.veil([(860, stand - 268), (1122, stand - 268), (1000, stand - 60), (850, stand - 12)], "#14110e", 0.18, 16)
        cast(1290, 180)
        vase(c, 1290, stand, 400, p.accent)
        cast(330, 110)
        mug(c, 330, stand, 150, p.light)
    return c


def study(rng: Random, p: Palette, kind: str = "cards") -> Canvas:
    """Colours beside one another: how a scheme is found."""
    c = Canvas(p.wall)
    if kind == "cards":
        tones = [p.front, p.accent, p.light, p.dark, p.top, mix(p.front, p.light, 0.5), mix(p.accent, p.light, 0.5)]
        for n, tone in enumerate(tones):
            angle, w, h = math.radians(-46 + n * 15.4), 205, 860

            def turn(px: float, py: float, angle: float = angle) -> Point:
                """Turned about the rivet that holds the cards together."""
                return (
                    800 + px * math.cos(angle) - py * math.sin(angle),
                    1330 + px * math.sin(angle) + py * math.cos(angle),
                )

            corners = [turn(-w / 2, -h - 150), turn(w / 2, -h - 150), turn(w / 2, 0), turn(-w / 2, 0)]
            c.veil([(x + 13, y + 17) for x, y in corners], "#14110e", 0.3, 12)
            c.shape(corners, "#faf8f2")
            edge, top = w / 2 - 15, -h - 135
            c.shape([turn(-edge, top), turn(edge, top), turn(edge, -330), turn(-edge, -330)], tone)
        return c
    if kind == "arches":
        for n, tone in enumerate((p.front, p.light, p.accent, p.dark)):
            x, w = 90 + n * 368, 316
            h = (620, 460, 720, 540)[n]
            c.veil(
                [(x + 20, HEIGHT), (x + 20, HEIGHT - h), (x + w + 40, HEIGHT - h), (x + w + 40, HEIGHT)],
                "#14110e",
                0.2,
                22,
            )
            c.slice(x + w / 2, HEIGHT - h, w / 2, 180, 360, tone)
            c.box(x, HEIGHT - h - 1, w, h + 2, tone)
        c.disc(1265, 240, 118, p.top)
        return c
    # terrazzo
    c = Canvas(mix(p.light, "#ffffff", 0.35))
    placed: list[tuple[float, float, float]] = []
    for attempt in range(2600):
        r = rng.choice((9, 14, 22, 34, 52, 78)) * rng.uniform(0.8, 1.2) if attempt < 500 else rng.uniform(4, 14)
        x, y = rng.uniform(-20, WIDTH + 20), rng.uniform(-20, HEIGHT + 20)
        if any((x - a) ** 2 + (y - b) ** 2 < (r + s + 7) ** 2 for a, b, s in placed):
            continue
        placed.append((x, y, r))
        n = rng.randint(5, 8)
        start = rng.uniform(0, 6.3)
        points = []
        for k in range(n):
            a = start + 6.283 * k / n + rng.uniform(-0.2, 0.2)
            points.append((x + math.cos(a) * r * rng.uniform(0.72, 1), y + math.sin(a) * r * rng.uniform(0.72, 1)))
        c.shape(points, mix(rng.choice((p.front, p.accent, p.dark, p.top, p.wall)), "#ffffff", rng.uniform(0, 0.18)))
    return c


def joinery(rng: Random, p: Palette) -> Canvas:
    """Dovetails: two boards at a corner."""
    c = Canvas(p.wall)
    c.veil([(0, 0), (900, 0), (1600, 800), (1600, 1066), (500, 1066)], "#fff3d4", 0.2, 40)
    light, deep = mix(p.top, "#f0d3a2", 0.35), mix(p.top, "#5a3315", 0.45)
    c.veil([(170, 300), (1600, 300), (1600, 905), (170, 905)], "#14110e", 0.35, 26)
    c.wood(rng, 140, 246, 1460, 620, light)
    c.wood(rng, 140, 246, 236, 620, deep, True)
    tails = 5
    step = 620 / tails
    for n in range(tails):
        y = 246 + n * step
        outline = [(140, y + 10), (376, y + 30), (376, y + step - 30), (140, y + step - 10)]
        c.shape(outline, light)
        for _ in range(15):
            gy = rng.uniform(y + 32, y + step - 32)
            end = (rng.uniform(240, 376), gy + rng.uniform(-3, 3))
            c.line([(146, gy), end], mix(light, "#2b1a0c", rng.uniform(0.06, 0.2)), 1.3)
        c.line([*outline, outline[0]], mix(deep, "#000000", 0.4), 1.8)
    c.shade(376, 250, 8, 612, 0.4, 4)
    c.box(140, 246, 1460, 7, mix(light, "#ffffff", 0.4))
    c.disc(980, 556, 66, mix("#c9a45c", "#000000", 0.35))
    c.disc(974, 546, 62, "#c9a45c")
    c.disc(958, 530, 22, "#ead09a")
    return c


def plan(rng: Random, p: Palette) -> Canvas:
    """A drawing on the drawing board."""
    c = Canvas(mix(p.front, "#0f1f2a", 0.35))
    ink = mix(p.light, "#ffffff", 0.5)
    faint = mix(mix(p.front, "#0f1f2a", 0.35), ink, 0.13)
    for x in range(0, WIDTH, 40):
        c.line([(x, 0), (x, HEIGHT)], faint, 1.6 if x % 200 == 0 else 0.7)
    for y in range(0, HEIGHT, 40):
        c.line([(0, y), (WIDTH, y)], faint, 1.6 if y % 200 == 0 else 0.7)

    def outline(x: float, y: float, w: float, h: float, width: float = 3) -> None:
        c.line([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y), (x + 1, y)], ink, width)

    outline(200, 160, 1200, 740, 11)
    for n in range(7):
        outline(206 + n * 170 - (0 if n else 0), 166, 170, 130)
    for n in range(4):
        outline(206, 296 + n * 130, 130, 130)
    outline(640, 480, 560, 220, 4)
    c.box(640, 480, 560, 220, mix(mix(p.front, "#0f1f2a", 0.35), p.accent, 0.55))
    outline(640, 480, 560, 220, 4)
    for n in range(4):
        c.disc(710 + n * 140, 752, 34, ink)
        c.disc(710 + n * 140, 752, 31, mix(p.front, "#0f1f2a", 0.35))
    for dx, dy in ((0, 0), (66, 0), (0, 62), (66, 62)):
        c.disc(752 + dx, 199 + dy, 22, ink)
        c.disc(752 + dx, 199 + dy, 19, mix(p.front, "#0f1f2a", 0.35))
    outline(1092, 190, 108, 84, 3)
    c.disc(1146, 232, 7, ink)
    c.box(1394, 560, 13, 190, mix(p.front, "#0f1f2a", 0.35))
    c.line([(1400, 750), (1210, 750)], ink, 4)
    c.line(
        [
            (1210 + 190 * (1 - math.cos(a / 20 * math.pi / 2)), 750 - 190 * math.sin(a / 20 * math.pi / 2))
            for a in range(21)
        ],
        ink,
        2,
    )
    c.line([(200, 962), (1400, 962)], ink, 2)
    for x in (200, 640, 1200, 1400):
        c.line([(x - 11, 973), (x + 11, 951)], ink, 3)
    c.shape([(1180, 1010), (1560, 630), (1578, 648), (1198, 1028), (1168, 1040)], p.accent)
    c.shape([(1180, 1010), (1198, 1028), (1168, 1040)], "#f1d9b0")
    c.shape([(1174, 1024), (1184, 1034), (1168, 1040)], "#1b1b1b")
    return c


def workshop(rng: Random, p: Palette) -> Canvas:
    """Tools on the wall above the bench."""
    c = Canvas(p.wall)
    board = mix(p.wall, p.dark, 0.18)
    for n in range(9):
        c.wood(rng, n * 180, 0, 177, 720, mix(board, rng.choice(["#ffffff", "#000000"]), 0.035), True)
    c.veil([(180, 0), (640, 0), (1200, 720), (620, 720)], "#fff0c9", 0.3, 26)
    steel, grip = "#b9bdb8", mix(p.accent, "#6b3a1c", 0.25)
    c.shade(120, 148, 1370, 18, 0.3, 10)
    c.wood(rng, 110, 124, 1380, 24, mix(p.top, "#5a3315", 0.3))
    for n in range(6):  # chisels
        x, h = 180 + n * 76, 150 + n * 17
        c.shade(x + 8, 150, 26, 110 + h, 0.16, 7)
        c.box(x - 13, 106, 26, 112, grip, 9)
        c.box(x - 9, 214, 18, 13, "#d6b265", 2)
        w = 9 + n * 2.2
        c.shape([(x - w, 226), (x + w, 226), (x + w, 226 + h - 22), (x - w, 226 + h)], steel)
        c.shape([(x, 226), (x + w, 226), (x + w, 226 + h - 22), (x, 226 + h - 11)], mix(steel, "#000000", 0.14))
    # a saw
    c.veil([(730, 300), (1270, 235), (1270, 380), (730, 350)], "#14110e", 0.25, 12)
    c.shape([(900, 198), (1290, 250), (1290, 282), (900, 340)], steel)
    for n in range(38):
        x = 902 + n * 10.2
        y = 340 - (n * 10.2) * 58 / 390
        c.shape([(x, y - 2), (x + 10, y - 3.4), (x + 4, y + 8)], steel)
    c.disc(840, 268, 86, grip)
    c.box(840, 186, 82, 166, grip, 18)
    c.disc(842, 268, 40, board)
    # a try square and a mallet
    c.shape([(1370, 180), (1396, 180), (1396, 520), (1370, 520)], steel)
    c.box(1240, 486, 160, 44, mix(p.top, "#3a200c", 0.4), 3)
    c.wood(rng, 752, 470, 210, 112, mix(p.top, "#f0d3a2", 0.2))
    c.wood(rng, 838, 580, 38, 190, mix(p.top, "#5a3315", 0.3), True)
    # the bench
    c.shade(0, 744, WIDTH, 16, 0.3, 16)
    c.wood(rng, 0, 760, WIDTH, 120, mix(p.top, "#f0d3a2", 0.25))
    c.box(0, 760, WIDTH, 6, mix(p.top, "#ffffff", 0.5))
    c.box(0, 880, WIDTH, 186, mix(p.dark, "#000000", 0.25))
    for n in range(4):
        front(c, 40 + n * 390, 904, 352, 162, p.front, "#c9a45c", "flat", True)
    c.shade(360, 742, 420, 20, 0.3, 9)  # a plane, and what it took off
    c.box(340, 704, 420, 58, mix(p.top, "#3a200c", 0.3), 8)
    c.shape([(520, 706), (560, 600), (596, 606), (580, 706)], steel)
    c.shape([(640, 706), (676, 596), (730, 612), (722, 706)], grip)
    c.disc(408, 680, 36, grip)
    for n in range(7):
        x, r = 860 + n * 74 + rng.uniform(-10, 10), rng.uniform(24, 44)
        spiral = [(a / 9, r * (1 - a / 64)) for a in range(56)]
        curl = [(x + math.cos(turn) * radius, 760 - r + math.sin(turn) * radius) for turn, radius in spiral]
        c.line(curl, mix("#ecd3a4", "#a8713f", rng.uniform(0, 0.35)), 6)
    return c


def dial(rng: Random, p: Palette) -> Canvas:
    """Light through a day: the same window at five hours."""
    c = Canvas(p.dark)
    skies = ("#f3cfae", "#f7e6c0", "#d7e8ec", "#efd3a0", "#3d4a6b")
    for n, sky in enumerate(skies):
        x, w = 82 + n * 296, 252
        c.box(x, 190, w, 640, mix(p.light, "#ffffff", 0.3))
        c.box(x + 16, 206, w - 32, 608, sky)
        height = (690, 470, 318, 500, 330)[n]
        c.disc(x + w / 2, height, 52, "#fff7df" if n != 4 else "#e9e6d4")
        if n == 4:
            c.disc(x + w / 2 + 22, height - 12, 47, sky)
        hill = mix(p.front, sky, 0.25 + 0.1 * (n == 2))
        c.shape([(x + 16, 700), (x + w * 0.4, 640), (x + w - 16, 690), (x + w - 16, 814), (x + 16, 814)], hill)
        c.shape(
            [(x + 16, 760), (x + w * 0.6, 716), (x + w - 16, 750), (x + w - 16, 814), (x + 16, 814)],
            mix(hill, "#000000", 0.18),
        )
        c.box(x + w / 2 - 4, 206, 8, 608, mix(p.light, "#ffffff", 0.3))
        c.box(x + 16, 440, w - 32, 8, mix(p.light, "#ffffff", 0.3))
        c.box(x - 14, 830, w + 28, 20, mix(p.light, "#ffffff", 0.15))
    return c


SCENES: dict[str, Callable[..., Canvas]] = {
    "kitchen": kitchen,
    "still": still,
    "study": study,
    "joinery": joinery,
    "plan": plan,
    "workshop": workshop,
    "dial": dial,
}


def draw(name: str, palette: Palette, scene: str, **options: str) -> bytes:
    """The picture as a JPEG. The name seeds what is left to chance."""
    rng = Random(name)
    return SCENES[scene](rng, palette, **options).finish(rng)
