"""Short films of four generators beside the real video, for the page that compares them: three are not packaged."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tfg import results
from tfg.clip import FPS
from tfg.datasets import grid, studio
from tfg.experts.checkpoints import file_sha256
from tfg.generated import generated_clip
from tfg.generator import load_generator
from tfg.media_write import write_clip
from tfg.plots.comparison import faces, side_by_side
from tfg.studies.generators import TITLES, weight_files
from tfg.studies.setup import KNOWN, TALKER, Setup

PANELS = {"real": None} | {title: name for name, title in TITLES.items()}
COMMAND = "python book/make_films.py"
SIZE, CRF = 120, 25  # pixels of a panel; x264's quality


class Source(NamedTuple):
    """Where a film's clip is from."""

    part: str  #: folder of face clips
    name: str
    credit: str


#: The first held-out clip of the talker that the generators know, and of a talker that they never saw: not the best.
FILMS = {
    "grid-s1": Source(KNOWN, "grid-s1-bbaf2n", "GRID corpus, talker 1, Cooke et al. 2006, CC BY 4.0, cut and redrawn"),
    "studio-jonas": Source("studio-test", "studio-jonas-bath", "rendered by this project"),
}


def make(setup: Setup, film: str, out: Path) -> Path:
    """Write one film (``FILM.mp4``) and where it is from (``FILM.json``).

    :raises DataError: face clips, twins, or the word alignment of GRID are not there.
    """
    source = FILMS[film]
    files = weight_files(setup.generators)
    (face_clip,) = [clip for clip in setup.face_clips(source.part) if clip.name == source.name]
    clip, track = face_clip.read()
    panels = {}
    for panel, name in PANELS.items():
        made = clip if name is None else generated_clip(load_generator(files[name]), clip, track)
        panels[panel] = faces(made, track, SIZE)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{film}.mp4"
    write_clip(side_by_side(panels, clip), path, crf=CRF)
    figures = {
        "panels": list(panels),
        "clip": source.name,
        "credit": source.credit,
        "labels": _labels(source, setup),
        "sha256": file_sha256(path),
    }
    weights = {name: file_sha256(file) for name, file in files.items()}
    results.write(
        path.with_suffix(".json"),
        figures,
        command=COMMAND,
        data_used={source.part: 1},
        seed=setup.seed,
        weights=weights,
    )
    return path


def _labels(source: Source, setup: Setup) -> list[tuple[str, float, float]]:
    """What is said: words of GRID, phones of the studio, silence as an empty text."""
    if source.part == KNOWN:
        code = source.name.rsplit("-", 1)[1]
        (clip,) = [clip for clip in grid.clips(TALKER, setup.corpus) if clip.code == code]
        words = grid.words(clip, setup.corpus)
        return [("" if w.text in ("sil", "sp") else w.text, w.start / FPS, w.stop / FPS) for w in words]
    phones = studio.truth(source.name.removeprefix("studio-")).phones
    return [("" if p.label == "pau" else p.label, p.start, p.end) for p in phones]
