"""Rendered talking heads with known truth for every frame: the embedded clips, and any number of new ones.

    from tfg.datasets import studio
    studio.names("train")            # names of clips
    clip = studio.read("ada-boat")   # tfg.Clip, 256 x 256, 25 fps, 16 kHz
    truth = studio.truth("ada-boat") # phoneme, viseme, mouth opening, head pose per frame

    new = studio.make(3, studio.speech("ada-boat"))        # talker number 3 says what ada says
    new = studio.make("kofi", "A sentence of my own.")     # needs flite, the speech synthesiser
    new.clip, new.truth, new.write("talk.mp4")

The embedded clips come from ``assets/studio/recipe.json`` (:mod:`tfg.datasets.studio_make`). Picture and sound are in
step by construction: the A/V offset is 0.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfg.clip import Clip
from tfg.datasets.studio_identity import StudioIdentity
from tfg.datasets.studio_speech import Speech
from tfg.datasets.studio_truth import StudioClip, StudioTruth
from tfg.errors import DataError
from tfg.media import read_clip

if TYPE_CHECKING:
    from tfg.datasets.studio_voice import Voice

SPLITS = ("train", "val", "test")


def folder() -> Path:
    """Where the embedded clips are."""
    return Path(str(resources.files("tfg") / "assets" / "studio"))


@cache
def recipe() -> dict[str, Any]:
    """The committed recipe: identities, and per clip its text, voice, light, motion and split."""
    data: dict[str, Any] = json.loads((folder() / "recipe.json").read_text())
    return data


def names(split: str | None = None, *, identity: str | None = None) -> list[str]:
    """Names of the clips, all or those of one ``split`` ('train', 'val', 'test') or ``identity``.

    :raises DataError: the split or the identity does not exist.
    """
    clips = recipe()["clips"]
    known = sorted({c["identity"] for c in clips})
    if split is not None and split not in SPLITS:
        raise DataError(f"studio has no split {split!r}: expected one of {', '.join(SPLITS)}, or None for all")
    if identity is not None and identity not in known:
        raise DataError(f"studio has no identity {identity!r}: expected one of {', '.join(known)}, or None for all")
    return [c["name"] for c in clips if split in (None, c["split"]) and identity in (None, c["identity"])]


def entry(name: str) -> dict[str, Any]:
    """What the recipe says of the clip: identity, text, voice, seed, pose, light, scene, split.

    :raises DataError: there is no such clip.
    """
    found: list[dict[str, Any]] = [c for c in recipe()["clips"] if c["name"] == name]
    if not found:
        raise DataError(f"studio has no clip {name!r}: expected one of {', '.join(names())}")
    return found[0]


def path(name: str) -> Path:
    """The clip's file (H.264 + AAC in MP4).

    :raises DataError: there is no such clip, or its file is missing from the installation.
    """
    file = folder() / f"{entry(name)['name']}.mp4"
    if not file.is_file():
        raise DataError(
            f"{file}: missing; reinstall the package, or render it: python -m tfg.datasets.studio_make {name}"
        )
    return file


def read(name: str) -> Clip:
    """The clip in memory: frames uint8 (T, 256, 256, 3), audio float32 (640 T,)."""
    return read_clip(path(name))


def truth(name: str) -> StudioTruth:
    """What is known of every frame of the clip.

    :raises DataError: there is no such clip, or its truth file is missing or does not fit this version.
    """
    file = path(name).with_suffix(".json")
    try:
        return StudioTruth.from_json(json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read as the truth of a studio clip ({error}); reinstall the package, or render it "
            f"again: python -m tfg.datasets.studio_make {name}"
        ) from error


def speech(name: str) -> Speech:
    """Sound and timed phones of an embedded clip, for another talker to speak. Needs no speech synthesiser."""
    known = truth(name)
    return Speech(read(name).audio, known.phones, known.text, known.voice)


def identity(who: str | int) -> StudioIdentity:
    """A talker: by name one of the recipe's, by number a new one; the same number gives the same talker.

    :raises DataError: there is no such talker, or the number is negative.
    """
    known = recipe()["identities"]
    if isinstance(who, str) and who in known:
        return StudioIdentity.from_json(known[who])
    if isinstance(who, str) or who < 0:
        raise DataError(
            f"talker is {who!r}; expected 0, 1, 2, ... for a new one, or one of {', '.join(known)} "
            "(or, where a clip is rendered, portrait: the photograph)"
        )
    return StudioIdentity.random(who)


def make(
    who: str | int | StudioIdentity,
    what: str | Speech,
    *,
    voice: Voice | None = None,
    seed: int = 0,
    articulation: np.ndarray | None = None,
) -> StudioClip:
    """Render a new clip (about 0.1 s a frame on one core): ``tfg studio render`` from Python.

    :param who: the talker: as for :func:`identity`, ``"portrait"`` for the photograph, or a
        :class:`StudioIdentity` of your own.
    :param what: a sentence in English, for which flite has to be installed, or speech that there is (:func:`speech`).
    :param voice: who speaks the sentence; by default a voice of the talker's sex. Not with a :class:`Speech`.
    :param seed: of pose, head motion, blinks, light, backdrop and camera noise.
    :param articulation: ``(T, 9)`` what the mouth does, in place of ``articulate(speech.phones, speech.times)``.
    :raises DataError: no such talker; flite is missing; the articulation does not fit the speech.
    """
    from tfg.datasets.studio_film import PORTRAIT, film, staging  # compiled code: not for who only reads
    from tfg.datasets.studio_voice import Voice, say

    talker = who if isinstance(who, StudioIdentity) else None if who == PORTRAIT else identity(who)
    if isinstance(what, Speech) and voice is not None:
        raise DataError("voice is given together with recorded speech; expected a sentence, or no voice")
    if isinstance(what, str):
        male = talker is not None and talker.sex == "m"
        what = say(what, voice or Voice("rms" if male else "slt"), seed)
    return film(staging(seed), talker, what, articulation)
