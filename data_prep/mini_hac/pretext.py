"""Other classes in other styles and rooms, to pretrain encoders on.

It stands for the large corpora on which the paper's encoders were pretrained:
sixteen classes, each a silhouette and a sound that no class of mini-HAC has;
every clip has a look and a room of its own, and any of the motions.
"""

from __future__ import annotations

import numpy as np
from scenes import MOTIONS, Look, draw
from silhouettes import PRETEXT
from sounds import Pattern, Room, band_noise, phase_of, play, saw

NUM_CLASSES = len(PRETEXT)
Colour = tuple[int, int, int]


def render_pretext(
    label: int, num_frames: int, fps: float, size: int, seed: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Make the picture and sound of one clip.

    Args:
        label: Class number, 0 to 15.
        num_frames: Number of frames T.
        fps: Frames per second.
        size: Height and width in pixels.
        seed: Of everything random.

    Returns:
        uint8 RGB of shape ``(T, size, size, 3)`` and the waveform ``(L,)``.

    Example:
        >>> frames, sound = render_pretext(3, 8, 16, 16, (0, 1))
        >>> frames.shape, sound.shape
        ((8, 16, 16, 3), (8000,))
    """
    rng = np.random.default_rng(seed)
    motion = MOTIONS[rng.integers(len(MOTIONS))]
    seconds = np.arange(num_frames) / fps
    frames = draw(_look(rng), PRETEXT[label], motion, seconds, size, rng)
    sound = play(_room(rng), _pattern(label), num_frames / fps, rng)
    return frames, sound


def _look(rng: np.random.Generator) -> Look:
    """A look as no domain of mini-HAC has it."""

    def colour(low: int, high: int) -> Colour:
        red, green, blue = rng.integers(low, high, 3)
        return int(red), int(green), int(blue)

    background, body = colour(20, 110), colour(140, 255)
    if rng.random() < 0.5:
        background, body = body, background
    return Look(
        backgrounds=(background,),
        bodies=(body,),
        texture=str(rng.choice(['clouds', 'checks', 'plain'])),
        strength=float(rng.uniform(5, 20)),
        body_texture=float(rng.choice([0, 12])),
        shading=float(rng.uniform(0, 0.3)),
        softness=float(rng.uniform(0.05, 0.25)),
        wobble=float(rng.uniform(0, 0.08)),
        outline=0.0,
        blades=0.0,
        size=(0.45, 0.72),
        noise=float(rng.uniform(1, 6)),
        shake=float(rng.uniform(0, 0.006)),
        hold=1,
    )


def _room(rng: np.random.Generator) -> Room:
    """A room as no domain of mini-HAC has it."""
    return Room(
        pitch=float(2 ** rng.uniform(-0.5, 1.2)),
        band=(float(rng.uniform(50, 200)), float(rng.uniform(5000, 7800))),
        snr_db=(5, 20),
        noise_slope=float(rng.uniform(0, 1.5)),
        reverberation=float(rng.uniform(0.05, 0.4)),
        drive=0.0,
        unheard=0.0,
    )


def _pattern(label: int) -> Pattern:
    """Sound of a class: one of four carriers under one of four envelopes."""
    carrier, envelope = divmod(label, 4)

    def make(
        t: np.ndarray, pitch: float, rng: np.random.Generator
    ) -> np.ndarray:
        return _carrier(carrier, t, pitch, rng) * _envelope(envelope, t, rng)

    return make


def _carrier(
    kind: int, t: np.ndarray, pitch: float, rng: np.random.Generator
) -> np.ndarray:
    if kind == 0:
        return np.sin(phase_of(np.full_like(t, 500 * pitch)))
    if kind == 1:
        phase = phase_of(np.full_like(t, 220 * pitch))
        return sum(np.sin(k * phase) / k for k in range(1, 6))
    if kind == 2:
        low = rng.uniform(300, 1200) * pitch
        return band_noise(rng, len(t), low, 2.5 * low)
    cycle = saw(rng.uniform(1.5, 2.5) * t + rng.uniform())
    return np.sin(phase_of(400 * pitch * 3 ** (1 - cycle)))


def _envelope(
    kind: int, t: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    if kind == 0:
        return np.ones_like(t)
    rates = {1: (0.8, 1.3), 2: (2.2, 3.8), 3: (6, 9)}
    cycle = saw(rng.uniform(*rates[kind]) * t + rng.uniform())
    if kind == 1:
        return np.sin(np.pi * cycle) ** 2
    return np.exp(-7 * cycle) if kind == 2 else (cycle < 0.5).astype(float)
