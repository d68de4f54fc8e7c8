"""The folder of a study: the videos under names that tell nothing, the votes, and the page that Voila serves.

    STUDY/votes.sqlite          plan, raters and votes
    STUDY/videos/3f2a....mp4    what raters see; the names do not say which method made it
    STUDY/rate.ipynb            the page

It is made once, from a folder that has a subfolder for each method, with the same file names in each.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from tfg.errors import DataError
from tfg.media import read_clip
from tfg.media_write import write_clip
from tfg.rating.design import LATE, Design, StudyDesign
from tfg.rating.single import SingleDesign
from tfg.rating.store import Plan, VoteStore

#: What is asked of a pair where nothing else is said, by the dimension of the votes; and of a single video.
QUESTIONS: Mapping[str, str] = {"lip": "In which video do the lips fit the sound better?"}
SINGLE_QUESTIONS: Mapping[str, str] = {"lip": "How well do the lips fit the sound?"}
LATE_FRAMES = 12.5  # of 40 ms: half a second, far beyond the 185 ms that viewers accept (ITU-R BT.1359)
PAIRS, VIDEOS = 20, 40  # for a rater, where there are as many: 10 to 15 minutes with clips of ten seconds

_SUFFIXES = {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"}
_DECISION = 8  # seconds that an answer takes beside the videos, for the estimate that raters read
_PAGE = """\
from tfg.rating import RatingPage, StudyFolder

page = RatingPage(StudyFolder("."), videos="voila/files/videos").widget()
page"""


class StudyFolder:
    """A study that :func:`make_study` made.

    :ivar store: its raters and votes; ``plan``: what it is.
    :raises DataError: the folder is not that of a study.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.store = VoteStore(self.folder / "votes.sqlite")
        self.plan = self.store.plan

    def video(self, method: str, subject: str) -> Path:
        """The file that raters see; ``method`` may be :data:`tfg.rating.design.LATE`."""
        return self.folder / "videos" / _anonymous(self.plan.design.seed, method, subject)


def make_study(
    source: Path | str,
    folder: Path | str,
    *,
    contact: str,
    single: bool = False,
    questions: Mapping[str, str] | None = None,
    pairs: int | None = None,
    checks: int = 2,
    truth: str | None = None,
    seed: int = 0,
    title: str | None = None,
    consent: str | None = None,
    on_video: Callable[[int, int], None] = lambda done, total: None,
) -> StudyFolder:
    """Make a study of the videos in ``source/METHOD/SUBJECT.mp4``.

    Videos are copied as they are where every one of them plays in browsers (MP4 with H.264 and AAC). If one does not,
    all are encoded again, at 25 frames/s and 16 kHz, so that no method is better only by its file.

    :param folder: of the study; must not exist.
    :param contact: whom raters tell their code if they want their votes deleted, such as ``"Dr Lee, room 12"``.
    :param single: one video at a time, rated from bad to excellent (:mod:`tfg.rating.single`), instead of pairs.
    :param questions: dimension of the votes to the sentence that raters read; by default how the lips fit the sound.
    :param pairs: for each rater; by default 20, or as many as there are. Where ``single``: videos, by default 40.
    :param checks: attention checks for each rater.
    :param truth: of pairs, the method that is the real video; then half of the checks show it against itself, sound
        delayed. Single videos need no such name.
    :param title: of the page; by default one that fits.
    :param consent: a text of your own; ``{trials}``, ``{minutes}`` and ``{contact}`` are filled in.
    :param on_video: told how many videos of how many are ready.
    :raises DataError: the folder exists; fewer than two methods; a subject that some method lacks or has twice; a file
        that is no video with sound; questions without words; a ``truth`` where ``single``.
    """
    folder = Path(folder)
    if questions is None:
        questions = SINGLE_QUESTIONS if single else QUESTIONS
    if title is None:
        title = "How good is each talking face?" if single else "Which talking face is better?"
    if folder.exists():
        raise DataError(f"{folder}: exists already; expected a new name for the study's folder")
    if not questions or not all(name and text.strip() for name, text in questions.items()):
        raise DataError(f"questions are {dict(questions)}; expected a sentence for each dimension, at least one")
    videos = find_videos(source)
    subjects = tuple(next(iter(videos.values())))
    design = _design(tuple(videos), subjects, single, pairs, checks, truth, seed)
    seconds = [_Probe(path) for files in videos.values() for path in files.values()]
    text = (
        (resources.files("tfg") / "assets" / "rating" / f"consent-{design.kind}.txt").read_text("utf-8")
        if consent is None
        else consent
    )
    trials = design.size + design.checks
    shown = (1 if single else 2) * sum(probe.seconds for probe in seconds) / len(seconds) + _DECISION
    said = {"{trials}": str(trials), "{minutes}": str(max(2, round(trials * shown / 60))), "{contact}": contact}
    for name, value in said.items():
        text = text.replace(name, value)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _fill(partial, videos, design, all(probe.plays for probe in seconds), on_video)
        VoteStore.create(partial / "votes.sqlite", Plan(design, questions, title, text, contact))
        partial.chmod(0o755)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return StudyFolder(folder)


def find_videos(source: Path | str) -> dict[str, dict[str, Path]]:
    """Method to subject to file, of a folder with a subfolder for each method; names with a dot in front do not count.

    :raises DataError: see :func:`make_study`.
    """
    source = Path(source)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; expected one with a subfolder of videos for each method")
    found: dict[str, dict[str, Path]] = {}
    for method in sorted(p for p in source.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(p for p in method.iterdir() if p.suffix.lower() in _SUFFIXES and p.name[0] != "."):
            if path.stem in found.setdefault(method.name, {}):
                raise DataError(f"{path}: a second video of {path.stem!r}; expected one of each name: remove one")
            found[method.name][path.stem] = path
    if len(found) < 2:
        raise DataError(
            f"{source}: videos in {', '.join(found) or 'no subfolder'}; expected two subfolders or more, one for each "
            "method, with the same file names in each"
        )
    everyone = {subject for files in found.values() for subject in files}
    lacking = [f"{method}/{subject}" for method in found for subject in sorted(everyone - found[method].keys())]
    if lacking:
        raise DataError(
            f"{source}: {', '.join(lacking[:5])}{' ...' if len(lacking) > 5 else ''} missing; expected the same file "
            "names for every method: add what is missing, or take the others away"
        )
    return found


def _design(
    methods: tuple[str, ...], subjects: tuple[str, ...], single: bool, size: int | None, checks: int,
    truth: str | None, seed: int,
) -> StudyDesign:  # fmt: skip
    if single and truth is not None:
        raise DataError(
            f"truth is {truth!r}, and raters see single videos; expected none, since no check compares a video with "
            "its delayed copy there: leave it out, the real videos are one of the methods like the others"
        )
    cells = len(subjects) * len(methods)
    if single:
        return SingleDesign(methods, subjects, min(VIDEOS, cells) if size is None else size, checks, seed)
    cells = cells * (len(methods) - 1) // 2
    return Design(methods, subjects, min(PAIRS, cells) if size is None else size, checks, truth, seed)


class _Probe:
    """Whether browsers play a file, and its ``seconds``, from its header."""

    def __init__(self, path: Path) -> None:
        try:
            with av.open(str(path)) as file:
                video, audio = file.streams.video, file.streams.audio
                if not video or not audio:
                    raise DataError(f"{path}: has no {'sound' if video else 'pictures'}; expected a video with sound")
                self.plays = (
                    path.suffix.lower() in (".mp4", ".m4v")
                    and video[0].codec_context.name == "h264"
                    and video[0].codec_context.pix_fmt in ("yuv420p", "yuvj420p")
                    and audio[0].codec_context.name == "aac"
                )
                self.seconds = float(file.duration or 0) / 1e6
        except (FFmpegError, OSError) as error:
            raise DataError(
                f"{path}: cannot be read as a video ({error.strerror}); replace it or take it away"
            ) from error


def _fill(
    folder: Path, videos: dict[str, dict[str, Path]], design: StudyDesign, plays: bool, tell: Callable[[int, int], None]
) -> None:
    (folder / "videos").mkdir()
    delayed = videos[design.truth] if design.truth is not None and design.checks else {}
    jobs = [(method, subject, path) for method, files in videos.items() for subject, path in files.items()]
    jobs += [(LATE, subject, path) for subject, path in delayed.items()]
    for done, (method, subject, path) in enumerate(jobs):
        tell(done, len(jobs))
        target = folder / "videos" / _anonymous(design.seed, method, subject)
        if method == LATE:
            write_clip(read_clip(path).delay_audio(LATE_FRAMES), target)
        elif plays:
            shutil.copyfile(path, target)
        else:
            write_clip(read_clip(path), target)
    tell(len(jobs), len(jobs))
    (folder / "rate.ipynb").write_text(json.dumps(_notebook(), indent=1), encoding="utf-8")


def _anonymous(seed: int, method: str, subject: str) -> str:
    return hashlib.sha256(f"{seed}/{method}/{subject}".encode()).hexdigest()[:16] + ".mp4"


def _notebook() -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "page",
        "metadata": {},
        "outputs": [],
        "source": _PAGE,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel, "title": "Study"}, "nbformat": 4, "nbformat_minor": 5}
