"""Real videos, and which video each method made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfg.errors import DataError, MissingFileError
from tfg.experts.expert import find_weights
from tfg.experts.registry import list_weights
from tfg.metrics.corpus import find_videos, match_references

REAL, CHANCE = "real video", "chance"  # the two rows that every table has
NO_VIDEO = "no video of this clip"


@dataclass(frozen=True)
class Corpus:
    """Real videos, and those that methods made of them.

    :ivar name: as it is called on the command line, without its place.
    :ivar root: folder of the real videos.
    :ivar real: clip -> real video.
    :ivar face_clips: the real videos are face clips (:mod:`tfg.datasets.face_clips`): their tracks lie beside them.
    :ivar made: method -> clip -> its video, or why there is none; in the order of the table's rows.
    :ivar ignored: method -> files that no real video asked for.
    :ivar generators: method -> weights, where its videos are yet to be drawn (:mod:`tfg.evaluation.draw`).
    :ivar arguments: of ``tfg evaluate`` that give this corpus again, without the places of folders.
    """

    name: str
    root: Path
    real: dict[str, Path]
    face_clips: bool = False
    made: dict[str, dict[str, Path | str]] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    generators: dict[str, Path] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def with_method(corpus: Corpus, method: str, what: str | Path) -> Corpus:
    """The corpus with one more method.

    :param method: a name for the row.
    :param what: a folder with the method's videos, or a generator: its weights, or their name in ``tfg weights list``.
        Of a folder, a clip's video is the file at the place of the real one, or else the only one of its stem.
    :raises DataError: a name that cannot be used or is taken; a folder without videos or with two candidates for one
        clip; ``what`` is a folder here and a generator's name as well.
    :raises MissingFileError: ``what`` is neither; the generators that have a name are listed.
    :raises WeightsError: weights that are known by name but not here.
    """
    if not re.fullmatch(r"\w[\w .+-]*", method) or method in (REAL, CHANCE):
        raise DataError(
            f"method name {method!r}: expected letters, digits, spaces and any of . + - _, and neither {REAL!r} nor "
            f"{CHANCE!r}"
        )
    if method in corpus.made:
        raise DataError(f"method name {method!r}: there is a row of this name; expected each name once")
    weights = _generator(str(what))
    if weights is None:
        found = match_references(list(corpus.real.values()), corpus.root, Path(what))
        made: dict[str, Path | str] = {name: found[path] or NO_VIDEO for name, path in corpus.real.items()}
        used = set(found.values())
        ignored = [str(path) for path in find_videos(Path(what)) if path not in used]
        given = "FOLDER"
    else:
        made, ignored, given = dict.fromkeys(corpus.real, "not drawn yet"), [], Path(what).name
    argument = f"--method {method!r}={given}" if " " in method else f"--method {method}={given}"
    return replace(
        corpus,
        made=corpus.made | {method: made},
        ignored=corpus.ignored | {method: ignored},
        generators=corpus.generators | ({} if weights is None else {method: weights}),
        arguments=(*corpus.arguments, argument),
    )


def thinned(corpus: Corpus, clips: int) -> Corpus:
    """At most so many clips, evenly spread over the names in order."""
    names = list(corpus.real)
    if clips >= len(names):
        return corpus
    chosen = [names[i * len(names) // clips] for i in range(clips)]
    return replace(
        corpus,
        real={name: corpus.real[name] for name in chosen},
        made={method: {name: videos[name] for name in chosen} for method, videos in corpus.made.items()},
        arguments=(*corpus.arguments, f"--clips {clips}"),
    )


def _generator(what: str) -> Path | None:
    """The weights, or None for a folder of videos."""
    named = [entry.name for entry in list_weights() if entry.kind in ("generator", "wav2lip")]
    path = Path(what)
    if what in named and path.exists():
        raise DataError(f"{what!r} is a generator's name and a file or folder here; write ./{what} for what is here")
    if what in named or path.is_file():
        return find_weights(what)[0]
    if not path.is_dir():
        raise MissingFileError(
            f"{what} is no folder with videos, no file with a generator's weights, and none of the generators "
            f"{', '.join(named)}"
        )
    return None
