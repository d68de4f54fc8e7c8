"""What a study works on: experts, prepared clips, videos of GRID with their face tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from tfg.clip import Clip
from tfg.datasets import face_clips, grid
from tfg.datasets import prepared as prepared_folder
from tfg.datasets.face_clips import FaceClip
from tfg.datasets.prepared import PreparedClip
from tfg.errors import DataError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert, load_expert
from tfg.faces import FaceTrack, track_face
from tfg.media import read_clip

SYNCNET, AVHUBERT = "syncnet-mini", "avhubert-mini"
TALKER = "s1"  # on whose other clips the minis were trained
TITLES = {SYNCNET: "SyncNet", AVHUBERT: "AV-HuBERT"}  # in figures
KNOWN, UNSEEN = "grid-s1-val", "grid-unseen"

Expert = AVHubertExpert | SyncNetExpert
Item = TypeVar("Item")


class Talk(NamedTuple):
    """A video with its face track."""

    name: str
    clip: Clip
    track: FaceTrack


@dataclass
class Setup:
    """The inputs of all studies.

    :ivar prepared: folder of prepared folders (``tfg prepare``), for :meth:`prepared_clips`.
    :ivar corpus: the GRID corpus, for :meth:`videos`; None: ``$TFG_DATA/grid``.
    :ivar checkpoints: folder of the ablation variants, one folder each with its last checkpoint.
    :ivar faces: folder of face-clip folders (``tfg prepare ... --for generator``), for :meth:`face_clips`.
    :ivar generators: folder of generators that are not packaged, ``NAME.safetensors``.
    :ivar ablation: holds a folder of runs of ``tfg train ablation`` for each recipe, see :mod:`tfg.studies.ablation`.
    :ivar evaluations: folder in which ``tfg evaluate``'s tables and drawn videos are kept, so that a study that was cut
        off goes on; None: they are thrown away.
    :ivar seed: of everything random.
    :ivar most: upper limit on the clips of one set, for a quick look; None: as many as a study asks for.
    :ivar progress: called with each item's name.
    """

    prepared: Path | None = None
    corpus: Path | None = None
    checkpoints: Path | None = None
    faces: Path | None = None
    generators: Path | None = None
    ablation: Path | None = None
    evaluations: Path | None = None
    seed: int = 0
    most: int | None = None
    progress: Callable[[str], None] = lambda name: None
    _tracks: dict[str, FaceTrack] = field(default_factory=dict)

    def experts(self) -> dict[str, Expert]:
        """The two minis, SyncNet first."""
        return {name: load_expert(name) for name in (SYNCNET, AVHUBERT)}

    def titled(self) -> dict[str, Expert]:
        """The two minis by the names that figures give them."""
        return {TITLES[name]: expert for name, expert in self.experts().items()}

    def prepared_clips(self, folder: str, count: int | None = None) -> list[PreparedClip]:
        """Clips of a prepared folder, all or ``count`` of them spread evenly over it.

        :raises DataError: no prepared folders were given, or this one is not there.
        """
        if self.prepared is None:
            raise DataError(
                "no prepared folders: set TFG_PREPARED to the folder that 'tfg prepare' made, or --prepared"
            )
        path = self.prepared / folder
        return prepared_folder.load(path, self._some(prepared_folder.names(path), count))

    def face_clips(self, folder: str, count: int | None = None) -> list[FaceClip]:
        """Face clips of a folder, all or ``count`` of them spread evenly over it.

        :raises DataError: no folder of face clips was given, or this one is not there.
        """
        if self.faces is None:
            raise DataError("no face clips: set TFG_FACES to the folder that 'tfg prepare ... --for generator' made")
        path = self.faces / folder
        return face_clips.load(path, self._some(face_clips.names(path), count))

    def videos(self, part: str, count: int) -> list[Talk]:
        """GRID videos: of the minis' talker (held-out clips) or of others, each with its face track.

        :param part: :data:`KNOWN` or :data:`UNSEEN`.
        :raises DataError: the corpus is not there.
        """
        if part == KNOWN:
            found = grid.split(grid.clips(TALKER, self.corpus), "val")
        else:
            others = [name for name in grid.speakers(self.corpus) if name != TALKER]
            found = [clip for name in others for clip in grid.clips(name, self.corpus)]
        talks = []
        for one in self._some(found, count):
            clip = read_clip(one.path)
            if one.name not in self._tracks:
                self.progress(f"{one.name}: tracking the face")
                self._tracks[one.name] = track_face(clip)
            talks.append(Talk(one.name, clip, self._tracks[one.name]))
        return talks

    def _some(self, items: Sequence[Item], count: int | None) -> list[Item]:
        limit = min(value for value in (count, self.most, len(items)) if value is not None)
        return [items[i * len(items) // limit] for i in range(limit)]
