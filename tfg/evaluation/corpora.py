"""Where the real videos of a table come from: a folder of videos, face clips, or a corpus that is known by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tfg.datasets import adthqa, face_clips, studio
from tfg.errors import DataError, MissingFileError
from tfg.evaluation.pairs import Corpus
from tfg.metrics.corpus import find_videos

PREPARED = ("grid", "lrs2", "lrw", "hdtf")  # ``tfg prepare`` makes face clips of them


def find_corpus(given: str | Path, data: str | Path | None = None) -> Corpus:
    """The real videos, and the methods' where they come with the corpus.

    ==================  ==============================================================================================
    ``adthqa``          ADTH-QA as it is distributed, with its four methods
    ``studio``          the embedded rendered clips of the split ``test``: talkers that no mini was trained on
    a folder            of face clips, made by ``tfg prepare NAME PREPARED --for generator``: GRID, LRS2, LRW, HDTF
    another folder      every video in it and its sub-folders; a clip is named by its place, without suffix
    ==================  ==============================================================================================

    :param given: one of these.
    :param data: where a corpus that is known by name lies; by default the folder of its name in ``$TFG_DATA``.
    :raises DataError: a folder without videos; a name that is a folder here as well; ``data`` for a folder.
    :raises MissingFileError: neither a folder nor a known name; the known names are listed.
    """
    name, folder = str(given), Path(given)
    if name in KNOWN:
        if data is None and folder.is_dir():
            raise DataError(
                f"{name!r} is a corpus that is known by name and a folder here; write ./{name} for the folder"
            )
        return KNOWN[name](None if data is None else Path(data))
    if data is not None:
        raise DataError(f"--data is given for {name}; expected it with adthqa alone, for others name the folder itself")
    if not folder.is_dir():
        raise MissingFileError(
            f"{name} is no folder, and no corpus that is known by name ({', '.join(KNOWN)}); "
            f"{', '.join(PREPARED)} come as folders: tfg prepare NAME PREPARED --for generator"
        )
    if (folder / face_clips.HEADER).is_file():
        real = {clip.name: clip.path for clip in face_clips.load(folder)}
        return Corpus(folder.name, folder, real, face_clips=True, arguments=(folder.name,))
    inside = sorted(path.parent.name for path in folder.glob(f"*/{face_clips.HEADER}"))
    if inside:
        raise DataError(f"{name} holds {len(inside)} folders of face clips; expected one of them: {', '.join(inside)}")
    videos = find_videos(folder)
    real = {path.relative_to(folder).with_suffix("").as_posix(): path for path in videos}
    if len(real) < len(videos):
        raise DataError(f"{name} holds files that differ in their suffix only; expected one video per clip")
    return Corpus(folder.name, folder, real, arguments=(folder.name,))


def _adthqa(data: Path | None) -> Corpus:
    try:
        folder = data or adthqa.root()
    except DataError as error:
        raise DataError(f"{error}; or name ADTH-QA's folder with --data") from error
    names = adthqa.subjects(folder)
    made: dict[str, dict[str, Path | str]] = {}
    for method in adthqa.METHODS:
        videos: dict[str, Path | str] = {}
        for name in names:
            try:
                videos[name] = adthqa.generated(method, name, folder)
            except DataError as error:
                videos[name] = str(error)
        made[adthqa.TITLES[method]] = videos
    real = {name: adthqa.source(name, folder) for name in names}
    return Corpus("adthqa", folder / "source_videos", real, made=made, arguments=("adthqa",))


def _studio(data: Path | None) -> Corpus:
    if data is not None:
        raise DataError("--data is given for studio, whose clips come with the package; leave it out")
    real = {name: studio.path(name) for name in studio.names("test")}
    return Corpus("studio", studio.folder(), real, arguments=("studio",))


#: corpora that have a name -> the corpus in a folder, None for the default
KNOWN: Mapping[str, Callable[[Path | None], Corpus]] = {"adthqa": _adthqa, "studio": _studio}
