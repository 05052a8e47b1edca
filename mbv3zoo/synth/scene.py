"""One scene: objects placed on a background, each with the box of its visible part."""

from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageFilter

from mbv3zoo.synth.backgrounds import BackgroundFolder, DrawnBackgrounds
from mbv3zoo.synth.config import MIN_VISIBLE_SHARE, MIN_VISIBLE_SIDE, SyntheticConfig
from mbv3zoo.synth.cutouts import CutoutFolder
from mbv3zoo.synth.sprites import DrawnObjects, Sprite

_ASPECTS = (1.0, 4 / 3, 3 / 4, 3 / 2)
_PLACEMENT_TRIES = 12
# The fraction of a mask that must stay visible is drawn for each object: with the lowest for all, crowded scenes
# would be heaps.
_VISIBLE_SHARES = (MIN_VISIBLE_SHARE, 0.5, 0.75)
# Least difference in grey levels between an object and the background: of mean colours, and of single pixels.
_MEAN_CONTRAST, _PIXEL_CONTRAST = 45.0, 35.0


class Objects(Protocol):
    class_names: tuple[str, ...]

    def sprite(self, rng: np.random.Generator, label: int, size: float) -> Sprite: ...


class Backgrounds(Protocol):
    def picture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray: ...


class Scene(NamedTuple):
    """RGB ``image``; ``boxes`` float32 [N, 4], xyxy pixels; ``labels`` int64 [N]; ``masks`` bool [N, H, W].

    A mask is the visible part of an object, and its box the tight bounds of that.
    """

    image: Image.Image
    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray


class Layout(NamedTuple):
    """A scene before camera effects.

    ``canvas`` float32 [H, W, 3] in 0..255; for each object its visible part (``masks``, bool [H, W]), the pixel count
    of the whole object (``areas``), and its class (``labels``).
    """

    canvas: np.ndarray
    masks: list[np.ndarray]
    areas: list[int]
    labels: list[int]


def open_sources(config: SyntheticConfig) -> tuple[Objects, Backgrounds]:
    """The objects and backgrounds that ``config`` asks for; a bad folder is a ``ValueError``."""
    objects: Objects = DrawnObjects()
    if config.objects is not None:
        objects = CutoutFolder(config.objects, largest_side=int(2 * config.max_scale * config.image_size))
    backgrounds = DrawnBackgrounds() if config.backgrounds is None else BackgroundFolder(config.backgrounds)
    return objects, backgrounds


def generate_scene(
    rng: np.random.Generator,
    config: SyntheticConfig,
    sources: tuple[Objects, Backgrounds] | None = None,
) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """One scene in memory.

    Args:
        rng: source of all randomness.
        config: sizes, counts and sources; ``train``, ``val``, ``shift``, ``seed`` and ``workers`` are not used.
        sources: the result of ``open_sources(config)``, to open and check the folders once for many scenes.

    Returns:
        RGB image; boxes of the visible parts, float32 [N, 4], xyxy in pixels; labels, int64 [N].
    """
    scene = compose(rng, config, *(sources or open_sources(config)))
    return scene.image, scene.boxes, scene.labels


def compose(rng: np.random.Generator, config: SyntheticConfig, objects: Objects, backgrounds: Backgrounds) -> Scene:
    """Draw a scene; later objects occlude earlier ones."""
    layout = arrange(rng, config, objects, backgrounds)
    return to_scene(_photograph(rng, layout.canvas), layout)


def arrange(rng: np.random.Generator, config: SyntheticConfig, objects: Objects, backgrounds: Backgrounds) -> Layout:
    """Place objects on a background so that each of them can be recognised."""
    aspect = _ASPECTS[rng.integers(len(_ASPECTS))]
    width = round(config.image_size * min(1.0, aspect))
    height = round(config.image_size / max(1.0, aspect))
    canvas = backgrounds.picture(rng, height, width)
    visible: list[np.ndarray] = []
    areas: list[int] = []
    labels: list[int] = []
    count = 0 if rng.random() < config.negatives else rng.integers(config.min_objects, config.max_objects + 1)
    for _ in range(count):
        label = int(rng.integers(len(objects.class_names)))
        size = config.image_size * config.min_scale * (config.max_scale / config.min_scale) ** rng.random()
        sprite = objects.sprite(rng, label, size)
        area = int((sprite.alpha > 0.5).sum())
        share = _VISIBLE_SHARES[rng.integers(len(_VISIBLE_SHARES))]
        for _ in range(_PLACEMENT_TRIES):
            left, top = _position(rng, sprite.alpha.shape, (height, width))
            mask = _on_canvas(sprite.alpha, left, top, (height, width)) > 0.5
            after = [old & ~mask for old in visible]
            if recognisable(mask, share * area) and all(
                recognisable(new, share * full)
                for old, new, full in zip(visible, after, areas, strict=True)
                if (old & mask).any()
            ):
                _paste(canvas, sprite, left, top)
                visible = [*after, mask]
                areas.append(area)
                labels.append(label)
                break
    return Layout(canvas, visible, areas, labels)


def to_scene(image: Image.Image, layout: Layout) -> Scene:
    """The scene with its labels; a box is the tight bounds of a mask."""
    boxes = np.array([_bounds(mask) for mask in layout.masks], dtype=np.float32).reshape(-1, 4)
    masks = np.array(layout.masks, dtype=bool).reshape(-1, *layout.canvas.shape[:2])
    return Scene(image, boxes, np.array(layout.labels, dtype=np.int64), masks)


def _position(rng: np.random.Generator, shape: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    # Most objects are fully inside; the others have their centre anywhere, so that the border cuts them.
    free = np.array(canvas) - np.array(shape)
    if rng.random() < 0.25:
        top, left = rng.integers(0, canvas) - np.array(shape) // 2
    else:
        top, left = rng.integers(0, np.maximum(free, 0) + 1)
    return int(left), int(top)


def _window(shape: tuple[int, int], left: int, top: int, canvas: tuple[int, int]) -> tuple:
    # The slices of the canvas and of the sprite that overlap.
    y0, y1 = max(top, 0), min(top + shape[0], canvas[0])
    x0, x1 = max(left, 0), min(left + shape[1], canvas[1])
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


def _on_canvas(alpha: np.ndarray, left: int, top: int, canvas: tuple[int, int]) -> np.ndarray:
    target, source = _window(alpha.shape, left, top, canvas)
    placed = np.zeros(canvas, dtype=np.float32)
    placed[target] = alpha[source]
    return placed


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Tight box of a mask, xyxy pixel edges; zeros for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def recognisable(mask: np.ndarray, least_area: float) -> bool:
    """Whether enough of an object is visible: in area (pixels) and in the sides of its box."""
    x0, y0, x1, y1 = _bounds(mask)
    return bool(min(x1 - x0, y1 - y0) >= MIN_VISIBLE_SIDE and np.count_nonzero(mask) >= least_area)


def _paste(canvas: np.ndarray, sprite: Sprite, left: int, top: int) -> None:
    target, source = _window(sprite.alpha.shape, left, top, canvas.shape[:2])
    rgb, alpha, under = sprite.rgb[source], sprite.alpha[source], canvas[target]
    rgb = _stand_out(rgb, under, alpha > 0.5)
    canvas[target] = under + (rgb - under) * alpha[..., None]


def _stand_out(rgb: np.ndarray, under: np.ndarray, mask: np.ndarray) -> np.ndarray:
    # A label on an invisible object is noise: lighten or darken an object that would vanish, or of which one of
    # two colours would.
    goal = np.float32(255 if under[mask].mean() < 128 else 0)
    for share in (0.0, 0.2, 0.4, 0.6):
        changed = rgb + (goal - rgb) * np.float32(share)
        difference = (changed - under)[mask]
        lost = np.mean(np.linalg.norm(difference, axis=1) < _PIXEL_CONTRAST)
        if lost < 0.3 and np.linalg.norm(difference.mean(axis=0)) >= _MEAN_CONTRAST:
            break
    return changed


def _photograph(rng: np.random.Generator, canvas: np.ndarray) -> Image.Image:
    # Camera effects: exposure, contrast, saturation, blur, sensor noise.
    grey = canvas.mean(axis=2, keepdims=True)
    canvas = grey + (canvas - grey) * rng.uniform(0.7, 1.2)
    canvas = (canvas - 128) * rng.uniform(0.75, 1.15) + 128 * rng.uniform(0.8, 1.2)
    if rng.random() < 0.4:
        soft = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
        soft = soft.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
        canvas = np.asarray(soft, dtype=np.float32)
    if rng.random() < 0.5:
        canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(1, 7)
    return Image.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))
