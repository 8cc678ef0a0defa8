"""Synthetic video: the class is a motion, the domain is how it looks.

One elongated object with six properties (two coordinates, size, aspect,
angle, brightness). Every property is ``A * sin(phase)``. A class makes the
phase of its own property run, all others stand still, so a single frame of
the object has the same distribution whatever the class. Two classes move two
properties together, the circle and the hinge; a frame of theirs differs from
the others only in how position and angle go together.

Behind the object most clips show the prop of their class, as a bed goes with
sleeping. Motion alone takes a network from scratch far longer to learn than
a trial run lasts; the prop is quickly learned, and is not always there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Class number to the property that it moves.
MOTIONS = ('size', 'light', 'y', 'aspect', 'x', 'circle', 'hinge')
_AMPLITUDES = {
    'x': (0.40, 0.55),
    'y': (0.40, 0.55),
    'size': (0.45, 0.60),
    'aspect': (0.50, 0.70),
    'angle': (1.20, 1.60),
    'light': (1.0, 1.0),
}


# Share of the clips that show the prop of their class.
PROP_SHARE = 0.8
# Class number to the boxes of its prop: centre, half width and half height,
# in half images.
_PROPS: tuple[tuple[tuple[float, float, float, float], ...], ...] = (
    ((0.0, 0.62, 0.80, 0.16),),  # a bed
    ((0.45, -0.50, 0.38, 0.28),),  # a screen
    ((-0.50, 0.55, 0.16, 0.16), (0.50, 0.55, 0.16, 0.16)),  # two bowls
    ((-0.65, 0.0, 0.10, 0.45),),  # a tall glass
    tuple((0.0, y, 1.0, 0.05) for y in (0.35, 0.60, 0.85)),  # water
    tuple((x, -0.60, 0.14, 0.14) for x in (-0.6, 0.0, 0.6)),  # marks
    (  # a door frame
        (0.55, 0.05, 0.05, 0.75),
        (0.95, 0.05, 0.05, 0.75),
        (0.75, -0.70, 0.25, 0.05),
    ),
)


@dataclass(frozen=True)
class Look:
    """How one domain looks.

    Args:
        palette: Background and object colours, RGB 0-255.
        texture: ``'clouds'``, ``'stripes'`` or ``'dots'``.
        exponent: Outline of the object: 1 diamond, 2 ellipse, 6 box.
        softness: Width of the object's edge, in object radii.
        outline: Whether a dark line runs around the object.
        noise: Deviation of the camera noise, in grey levels.
        shake: Deviation of the camera's position per frame, in half images.
        hold: Frames for which a drawing stands still (cartoons are drawn
            "on twos").
    """

    palette: tuple[tuple[int, int, int], ...]
    texture: str
    exponent: float
    softness: float
    outline: bool
    noise: float
    shake: float
    hold: int


LOOKS = {
    'human': Look(
        ((92, 74, 60), (128, 122, 112), (70, 82, 96), (208, 180, 152)),
        'clouds', 2.0, 0.12, False, 4.5, 0.005, 1,
    ),
    'animal': Look(
        ((58, 92, 48), (112, 118, 62), (88, 70, 40), (206, 186, 120)),
        'stripes', 1.3, 0.25, False, 8.0, 0.009, 1,
    ),
    'cartoon': Look(
        ((120, 200, 250), (250, 210, 90), (240, 140, 190), (250, 250, 245)),
        'dots', 6.0, 0.04, True, 1.0, 0.0, 2,
    ),
}  # fmt: skip


def render_frames(
    domain: str,
    label: int,
    num_frames: int,
    fps: float,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw one clip.

    Args:
        domain: Key of :data:`LOOKS`.
        label: Class number, index of :data:`MOTIONS`.
        num_frames: Number of frames T.
        fps: Frames per second.
        size: Height and width in pixels.
        rng: Source of everything random.

    Returns:
        uint8 RGB of shape ``(T, size, size, 3)``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> render_frames('human', 4, 8, 24, 16, rng).shape
        (8, 16, 16, 3)
    """
    look = LOOKS[domain]
    seconds = np.arange(num_frames) // look.hold * look.hold / fps
    state = _states(MOTIONS[label], seconds, rng)
    shake = np.cumsum(rng.normal(0, look.shake, (num_frames, 2)), axis=0)
    shake -= shake.mean(axis=0)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    radius = _radius(look, state, shake, axis, rng)
    cover = 1 / (1 + np.exp(np.clip((radius - 1) * 4 / look.softness, -9, 9)))
    background, body = _colours(look, rng)
    canvas = _texture(look, background, axis, rng)
    canvas = _add_prop(_PROPS[label], background, canvas, axis, rng)[None]
    gain = (0.68 + 0.32 * state['light']).astype(np.float32)
    paint = background + gain[:, None] * (body - background)
    paint = paint[:, None, None].astype(np.float32)
    frames = canvas + cover[..., None] * (paint - canvas)
    if look.outline:
        frames *= (1 - 0.9 * np.exp(-(((radius - 1) / 0.1) ** 2)))[..., None]
    frames += _noise(look.noise, frames.shape, rng)
    return np.clip(frames, 0, 255).astype(np.uint8)


def _states(
    motion: str, seconds: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Course of the six properties of the object, each of shape ``(T,)``."""
    rate = (
        rng.uniform(2.5, 4.0) if motion == 'light' else rng.uniform(0.8, 1.4)
    )
    running = 2 * np.pi * rate * rng.choice([-1, 1]) * seconds
    moved = {'circle': ('x', 'y'), 'hinge': ('angle',)}.get(motion, (motion,))
    amplitude = {k: rng.uniform(*limits) for k, limits in _AMPLITUDES.items()}
    phase = {name: rng.uniform(0, 2 * np.pi) for name in _AMPLITUDES}
    if motion == 'circle':
        amplitude['y'], phase['y'] = amplitude['x'], phase['x'] + np.pi / 2
    state = {
        name: amplitude[name]
        * np.sin(phase[name] + (running if name in moved else 0 * running))
        for name in _AMPLITUDES
    }
    middle = rng.uniform(0, np.pi)
    if motion == 'hinge':  # swings about its end, not about its middle
        swing = middle + state['angle']
        state['x'] = 0.6 * state['x'] + 0.3 * np.cos(swing)
        state['y'] = 0.6 * state['y'] + 0.3 * np.sin(swing)
    state['angle'] = middle + state['angle']
    return state


def _radius(
    look: Look,
    state: dict[str, np.ndarray],
    shake: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Distance of each pixel in object radii: 1 is the outline."""
    length = rng.uniform(0.30, 0.40) * np.exp(state['size'] + state['aspect'])
    width = rng.uniform(0.18, 0.24) * np.exp(state['size'] - state['aspect'])
    cos, sin = np.cos(state['angle']), np.sin(state['angle'])

    def columns(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None, None]

    dx = axis[None, None, :] - columns(state['x'] + shake[:, 0])
    dy = axis[None, :, None] - columns(state['y'] + shake[:, 1])
    along = np.abs(dx * columns(cos / length) + dy * columns(sin / length))
    across = np.abs(dy * columns(cos / width) - dx * columns(sin / width))
    power = np.float32(look.exponent)
    along, across = np.minimum(along, 9), np.minimum(across, 9)
    return (along**power + across**power) ** (1 / power)


def _colours(
    look: Look, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Background and object colour, clearly different in brightness."""
    palette = np.array(look.palette, np.float32)
    background = palette[rng.integers(3)] + rng.normal(0, 10, 3)
    is_light = background.mean() > 120
    body = background * 0.25 if is_light else palette[3]
    return background, body + rng.normal(0, 12, 3)


def _texture(
    look: Look,
    background: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Background image of shape ``(size, size, 3)``."""
    x, y = axis[None, :], axis[:, None]
    turn = rng.uniform(0, np.pi)
    phase = rng.uniform(0, 2 * np.pi, 8)
    if look.texture == 'clouds':
        waves = rng.normal(0, 2.5, (4, 2))
        field = sum(
            np.sin(a * x + b * y + p)
            for (a, b), p in zip(waves, phase, strict=False)
        )
        strength = 9.0
    elif look.texture == 'stripes':
        along = x * np.cos(turn) + y * np.sin(turn)
        field = np.sin(14 * along + 2 * np.sin(5 * y + phase[0]) + phase[1])
        strength = 18.0
    else:
        field = np.sin(9 * x + phase[0]) * np.sin(9 * y + phase[1]) > 0.6
        strength = 30.0
    tint = rng.uniform(0.6, 1.0, 3)
    image = background + strength * np.asarray(field)[..., None] * tint
    return image.astype(np.float32)


def _add_prop(
    boxes: tuple[tuple[float, float, float, float], ...],
    background: np.ndarray,
    canvas: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Background image with the prop, mirrored, moved and scaled, or not."""
    shown = rng.random() < PROP_SHARE
    side = rng.choice([-1, 1])
    scale = rng.uniform(0.8, 1.2)
    right, down = rng.uniform(-0.15, 0.15, 2)
    contrast = rng.uniform(35, 70) * (1 if background.mean() < 128 else -1)
    colour = background + contrast + rng.normal(0, 10, 3)
    if not shown:
        return canvas
    for x, y, width, height in boxes:
        columns = np.abs(axis - side * (x + right)) < width * scale
        rows = np.abs(axis - y - down) < height * scale
        canvas[np.ix_(rows, columns)] = colour
    return canvas


def _noise(
    deviation: float, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Camera noise: windows of one larger sheet, which is quick to draw."""
    num_frames, height, width, _ = shape
    sheet = rng.normal(0, deviation, (2 * height, 2 * width, 3))
    sheet = sheet.astype(np.float32)
    corners = rng.integers(0, (height, width), (num_frames, 2))
    return np.stack([sheet[y : y + height, x : x + width] for y, x in corners])
