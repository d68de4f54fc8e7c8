"""Random changes of a training clip that leave its synchrony alone: another framing, light, sharpness, vocal tract.

One draw serves a whole clip, as in AV-HuBERT's loader: a crop that jumped between frames would look like motion.
A corpus of few talkers needs this most. ``vocal_tract`` moves the formants, as a longer or shorter throat would
(Jaitly and Hinton, *Vocal tract length perturbation improves speech recognition*, ICML workshop 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Float = NDArray[np.float32]
Float64 = NDArray[np.float64]

BANDS = 26  # mel filters under both audio features (tfg.audio)
CEPSTRA = 13
_TOP = 8000.0  # Hz


@dataclass(frozen=True)
class Augmentation:
    """Ranges; a draw is uniform in ``[-range, range]`` around "no change". All zeros: the centre crop, as it is."""

    shift: float  # share of the crop's side, rounded to whole pixels
    flip: bool  # mirror every other clip
    rotation: float  # degrees
    scale: float  # share
    stretch: float  # share by which the width changes against the height: narrower and wider faces
    brightness: float  # share of the grey range
    contrast: float  # share, around the middle
    gamma: float  # exponent 2 ** draw: darker or lighter mid-tones
    blur: float  # pixels, standard deviation, drawn in [0, blur]
    vocal_tract: float  # share by which frequencies are stretched


def augment_crops(crops: NDArray[np.uint8], size: int, how: Augmentation, random: np.random.Generator) -> Float:
    """The crops of one clip, framed and lit at random.

    :param crops: ``uint8 (T, S, S)`` or ``(T, S, S, 3)``; pixels beyond the edge repeat the last one.
    :param size: side of the result, cut from the middle of the crop.
    :returns: ``float32 (T, size, size[, 3])`` in 0..255.
    """
    side = crops.shape[1]
    columns, rows = (round(side * how.shift * draw) for draw in random.uniform(-1, 1, 2))
    mirrored = random.random() < 0.5 and how.flip
    angle = np.deg2rad(how.rotation) * random.uniform(-1, 1)
    grow = (1 + how.scale * random.uniform(-1, 1)) * np.array([1 + how.stretch * random.uniform(-1, 1), 1])
    # from a pixel of the result to the pixel of the crop that it shows
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag(1 / grow) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    centre = np.array([(side - 1) / 2, (side - 1) / 2])
    offset = centre + np.array([columns, rows]) - matrix @ np.array([(size - 1) / 2, (size - 1) / 2])
    affine = np.column_stack([matrix, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sharp = [cv2.warpAffine(c, affine, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE) for c in crops]
    sigma = how.blur * random.random()
    if sigma > 0.2:  # below, the kernel is a single pixel
        sharp = [cv2.GaussianBlur(c, (0, 0), sigma) for c in sharp]
    return _levels(how, random)[np.stack(sharp)]


def _levels(how: Augmentation, random: np.random.Generator) -> Float:
    """``float32 (256,)``: what each grey level becomes."""
    level = (np.arange(256) / 255) ** 2.0 ** (how.gamma * random.uniform(-1, 1))
    level = (level - 0.5) * (1 + how.contrast * random.uniform(-1, 1)) + 0.5 + how.brightness * random.uniform(-1, 1)
    return (255 * level).clip(0, 255).astype(np.float32)


def draw_vocal_tract(how: Augmentation, random: np.random.Generator) -> float:
    """The factor by which the frequencies of a clip are stretched."""
    return float(1 + how.vocal_tract * random.uniform(-1, 1))


def warp_filterbank(fbank: Float, factor: float) -> Float:
    """AV-HuBERT's audio of a talker whose formants lie ``factor`` times higher.

    :param fbank: ``(T, 104)``, four rows of 26 bands, normalised per frame; so is the result.
    """
    warped = fbank.reshape(-1, 4, BANDS) @ _band_warp(factor).T
    warped = warped.reshape(len(fbank), -1)
    warped -= warped.mean(axis=1, keepdims=True)
    return (warped / np.sqrt(warped.var(axis=1, keepdims=True) + 1e-5)).astype(np.float32)


def warp_cepstra(cepstra: Float, factor: float) -> Float:
    """The same for SyncNet's audio.

    :param cepstra: ``(F, 13)`` of :func:`tfg.audio.mfcc`; column 0, the energy, stays.
    """
    return (cepstra @ _cepstral_warp(factor).T).astype(np.float32)


def _band_warp(factor: float) -> Float64:
    """``(26, 26)``: row b mixes the two bands around the frequency that the warp moves to band b."""
    top = 2595 * np.log10(1 + _TOP / 700)
    mel = np.linspace(0, top, BANDS + 2)[1:-1]
    hertz = 700 * (10 ** (mel / 2595) - 1) / factor
    place = (2595 * np.log10(1 + hertz / 700) / top * (BANDS + 1) - 1).clip(0, BANDS - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(BANDS)[None]))


def _cepstral_warp(factor: float) -> Float64:
    """``(13, 13)``: out of the cepstral domain, warped, and back; the higher cepstra that MFCC drops are taken as 0."""
    cosines, lifter = _cepstral_basis()
    matrix = lifter[:, None] * (cosines @ _band_warp(factor) @ cosines.T) / lifter[None]
    matrix[0], matrix[:, 0] = 0, 0
    matrix[0, 0] = 1
    return matrix


@lru_cache(maxsize=1)
def _cepstral_basis() -> tuple[Float64, Float64]:
    cosines = scipy.fft.dct(np.eye(BANDS), type=2, axis=0, norm="ortho")[:CEPSTRA]
    return cosines, 1 + 11 * np.sin(np.pi * np.arange(CEPSTRA) / 22)
