"""Synthetic video: the class is a silhouette in motion, the domain a style.

One object with six properties (two coordinates, size, aspect, angle,
brightness). Every property is ``A * sin(phase)``. A class makes the phase of
its own property run, all others stand still, so that both the outline and
the motion of the object tell the class: a circle and a hinge move two
properties together.

A domain is everything else that is seen: palette, background, what the
object is made of, its edge, what stands before it, and the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from silhouettes import CLASSES, Silhouette

# Class number to the property that it moves.
MOTIONS = ('size', 'light', 'y', 'aspect', 'x', 'circle', 'hinge')
_AMPLITUDES = {
    'x': (0.30, 0.45),
    'y': (0.30, 0.45),
    'size': (0.30, 0.45),
    'aspect': (0.25, 0.40),
    'angle': (1.00, 1.40),
    'light': (1.0, 1.0),
}
# Properties that stand still stay closer to their middle than moving ones.
_STILL = {
    'x': 0.6,
    'y': 0.6,
    'size': 0.3,
    'aspect': 0.3,
    'angle': 0.3,
    'light': 0.4,
}


@dataclass(frozen=True)
class Look:
    """How one domain looks.

    Args:
        backgrounds: Background colours, RGB 0-255; a clip has one of them.
        bodies: Object colours.
        texture: ``'clouds'``, ``'stripes'``, ``'dots'``, ``'checks'`` or
            ``'plain'``.
        strength: Amplitude of the texture, in grey levels.
        body_texture: Amplitude of stripes on the object.
        shading: How much darker the object's lower side is, 0 to 1.
        softness: Width of the object's edge, in object radii.
        wobble: Depth of irregular notches in the outline, in object radii.
        outline: Darkness of a line around the object, 0 (none) to 1.
        blades: Share of the picture that stands before the object.
        size: Limits of the object's radius, in half images.
        noise: Deviation of the camera noise, in grey levels.
        shake: Deviation of the camera's position per frame, in half images.
        hold: Frames for which a drawing stands still (cartoons are drawn
            "on twos").
    """

    backgrounds: tuple[tuple[int, int, int], ...]
    bodies: tuple[tuple[int, int, int], ...]
    texture: str
    strength: float
    body_texture: float
    shading: float
    softness: float
    wobble: float
    outline: float
    blades: float
    size: tuple[float, float]
    noise: float
    shake: float
    hold: int


LOOKS: Mapping[str, Look] = {
    'human': Look(
        backgrounds=((92, 74, 60), (112, 104, 96), (70, 82, 96)),
        bodies=((188, 163, 138), (171, 138, 112), (180, 180, 184)),
        texture='clouds', strength=15, body_texture=0, shading=0.2,
        softness=0.14, wobble=0.02, outline=0, blades=0, size=(0.5, 0.64),
        noise=4.5, shake=0.005, hold=1,
    ),
    'animal': Look(
        backgrounds=((104, 130, 86), (134, 136, 90), (120, 104, 72)),
        bodies=((44, 34, 24), (218, 190, 140), (226, 214, 186)),
        texture='stripes', strength=12, body_texture=10, shading=0.1,
        softness=0.18, wobble=0.07, outline=0, blades=0.04,
        size=(0.48, 0.62), noise=6.0, shake=0.008, hold=1,
    ),
    'cartoon': Look(
        backgrounds=((120, 200, 250), (250, 210, 90), (240, 150, 200)),
        bodies=((250, 250, 245), (220, 60, 50), (60, 140, 70)),
        texture='dots', strength=24, body_texture=0, shading=0,
        softness=0.06, wobble=0, outline=0.5, blades=0, size=(0.54, 0.70),
        noise=1.0, shake=0.0, hold=2,
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
    """Draw one clip of a domain and class.

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
    seconds = np.arange(num_frames) / fps
    silhouette = CLASSES[label][1]
    return draw(LOOKS[domain], silhouette, MOTIONS[label], seconds, size, rng)


def draw(
    look: Look,
    silhouette: Silhouette,
    motion: str,
    seconds: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw one clip of any look, silhouette and motion.

    Args:
        look: How it looks.
        silhouette: Outline of the object.
        motion: One of :data:`MOTIONS`.
        seconds: Time of each frame, ``(T,)``.
        size: Height and width in pixels.
        rng: Source of everything random.

    Returns:
        uint8 RGB of shape ``(T, size, size, 3)``.
    """
    held = seconds[np.arange(len(seconds)) // look.hold * look.hold]
    state = _states(motion, held, rng)
    shake = np.cumsum(rng.normal(0, look.shake, (len(held), 2)), axis=0)
    shake -= shake.mean(axis=0)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = _object_axes(look, state, shake, axis, rng)
    radius = silhouette(x, y) + _notches(look, x, y, rng)
    cover = 1 / (1 + np.exp(np.clip((radius - 1) * 4 / look.softness, -9, 9)))
    background = _pick(look.backgrounds, rng)
    canvas = _texture(look, background, axis, rng)[None]
    paint = _body(look, background, state, x, y, rng)
    frames = canvas + cover[..., None] * (paint - canvas)
    if look.outline:
        line = np.exp(-(((radius - 1) / 0.12) ** 2))
        frames *= (1 - 0.9 * look.outline * line)[..., None]
    if look.blades:
        _stand_before(frames, look, background, axis, rng)
    frames += _noise(look.noise, frames.shape, rng)
    return np.clip(frames, 0, 255).astype(np.uint8)


def _states(
    motion: str, seconds: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Course of the six properties of the object, each of shape ``(T,)``."""
    rate = (
        rng.uniform(2.0, 3.0) if motion == 'light' else rng.uniform(0.8, 1.4)
    )
    running = 2 * np.pi * rate * rng.choice([-1, 1]) * seconds
    moved = {'circle': ('x', 'y'), 'hinge': ('angle',)}.get(motion, (motion,))
    amplitude = {k: rng.uniform(*limits) for k, limits in _AMPLITUDES.items()}
    phase = {name: rng.uniform(0, 2 * np.pi) for name in _AMPLITUDES}
    if motion == 'circle':
        amplitude['y'], phase['y'] = amplitude['x'], phase['x'] + np.pi / 2
    state = {
        name: amplitude[name]
        * (1 if name in moved else _STILL[name])
        * np.sin(phase[name] + (running if name in moved else 0 * running))
        for name in _AMPLITUDES
    }
    middle = rng.uniform(-0.4, 0.4)
    if motion == 'hinge':  # swings about its end, not about its middle
        swing = middle + state['angle']
        state['x'] = 0.6 * state['x'] + 0.3 * np.cos(swing)
        state['y'] = 0.6 * state['y'] + 0.3 * np.sin(swing)
    state['angle'] = middle + state['angle']
    return state


def _object_axes(
    look: Look,
    state: dict[str, np.ndarray],
    shake: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of each pixel in object radii, two of ``(T, S, S)``."""
    base = rng.uniform(*look.size)
    length = base * np.exp(state['size'] + state['aspect'])
    width = base * np.exp(state['size'] - state['aspect'])
    cos, sin = np.cos(state['angle']), np.sin(state['angle'])

    def columns(values: np.ndarray) -> np.ndarray:
        return values.astype(np.float32)[:, None, None]

    dx = axis[None, None, :] - columns(state['x'] + shake[:, 0])
    dy = axis[None, :, None] - columns(state['y'] + shake[:, 1])
    along = dx * columns(cos / length) + dy * columns(sin / length)
    across = dy * columns(cos / width) - dx * columns(sin / width)
    return np.clip(along, -9, 9), np.clip(across, -9, 9)


def _notches(
    look: Look, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """What an uneven outline adds to the radius."""
    phase = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    wave = np.sin(7 * x + phase[0]) * np.sin(7 * y + phase[1])
    return np.float32(look.wobble) * wave


def _pick(
    colours: tuple[tuple[int, int, int], ...], rng: np.random.Generator
) -> np.ndarray:
    colour = np.array(colours[rng.integers(len(colours))], np.float32)
    return colour + rng.normal(0, 10, 3).astype(np.float32)


def _body(
    look: Look,
    background: np.ndarray,
    state: dict[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Colours of the object, ``(T, S, S, 3)``."""
    body = _pick(look.bodies, rng)
    gain = (0.68 + 0.32 * state['light']).astype(np.float32)
    paint = background + gain[:, None] * (body - background)
    paint = paint[:, None, None, :]
    shade = 1 - look.shading * np.clip(y + 0.5, 0, 1)
    coat = look.body_texture * np.sin(11 * x + rng.uniform(0, 6))
    return paint * shade[..., None] + coat[..., None].astype(np.float32)


def _texture(
    look: Look,
    background: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Background image of shape ``(size, size, 3)``."""
    x, y = axis[None, :], axis[:, None]
    turn = rng.uniform(0, np.pi)
    phase = rng.uniform(0, 2 * np.pi, 4)
    if look.texture == 'clouds':
        waves = rng.normal(0, 2.5, (4, 2))
        field = (
            sum(
                np.sin(a * x + b * y + p)
                for (a, b), p in zip(waves, phase, strict=True)
            )
            / 1.5
        )
    elif look.texture == 'stripes':
        along = x * np.cos(turn) + y * np.sin(turn)
        field = np.sin(14 * along + 2 * np.sin(5 * y + phase[0]) + phase[1])
    elif look.texture == 'dots':
        field = np.sin(9 * x + phase[0]) * np.sin(9 * y + phase[1]) > 0.6
    elif look.texture == 'checks':
        side = rng.uniform(4, 9)
        field = np.sign(np.sin(side * x + phase[0]) * np.sin(side * y))
    else:
        field = np.zeros((len(axis), len(axis)))
    tint = rng.uniform(0.6, 1.0, 3)
    image = background + look.strength * np.asarray(field)[..., None] * tint
    return image.astype(np.float32)


def _stand_before(
    frames: np.ndarray,
    look: Look,
    background: np.ndarray,
    axis: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Cover part of every frame by blades of grass, in place."""
    lean, phase = rng.uniform(-0.5, 0.5), rng.uniform(0, 2 * np.pi)
    wave = np.sin(11 * (axis[None, :] + lean * axis[:, None]) + phase)
    hidden = wave > np.cos(np.pi * look.blades)
    frames[:, hidden] = background * rng.uniform(0.6, 1.3)


def _noise(
    deviation: float, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Camera noise: windows of one larger sheet, which is quick to draw."""
    num_frames, height, width, _ = shape
    sheet = rng.normal(0, deviation, (2 * height, 2 * width, 3))
    sheet = sheet.astype(np.float32)
    corners = rng.integers(0, (height, width), (num_frames, 2))
    return np.stack([sheet[y : y + height, x : x + width] for y, x in corners])
