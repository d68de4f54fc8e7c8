"""Ratings on a scale (ITU-T P.910, absolute category rating): mean opinion scores, and raters who answer at random.

The csv has one row for each rating::

    dimension,subject,rater,method,score
    lip,anna,r01,wav2lip,4

``score`` lies on the scale, 1 (bad) to 5 (excellent); the other columns are as in :mod:`tfg.study.votes`. A rater rates
each video once. ``seconds`` and ``time`` may be there too; other columns are refused.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tfg.errors import DataError, MetricError

COLUMNS = ("dimension", "subject", "rater", "method", "score")
OPTIONAL = ("seconds", "time")
SCALE = (1.0, 5.0)

Float = NDArray[np.float64]


class Rating(NamedTuple):
    """One rater's score of one video."""

    dimension: str
    subject: str
    rater: str
    method: str
    score: float


def read_ratings(
    path: str | os.PathLike[str], methods: Sequence[str] | None = None, scale: tuple[float, float] = SCALE
) -> list[Rating]:
    """Read a csv of ratings.

    :param methods: those that a rating may name; None: whichever the file names.
    :param scale: lowest and highest score.
    :raises DataError: no such file or another header; or, with the number of the row: an empty field, an unknown
        method, a score that is no number on the scale, or a video that its rater has rated already.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a csv with the columns {', '.join(COLUMNS)}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no csv in UTF-8: {error}; export it again as 'CSV UTF-8'") from error
    reader = csv.DictReader(text.splitlines())
    header = set(reader.fieldnames or [])
    if not set(COLUMNS) <= header <= {*COLUMNS, *OPTIONAL}:
        raise DataError(f"{path}: found the columns {', '.join(header) or 'none'}; expected {', '.join(COLUMNS)}")
    found: dict[tuple[str, ...], Rating] = {}
    for row in reader:
        where = f"{path}, row {reader.line_num}"
        if None in row or not all((row[key] or "").strip() for key in COLUMNS):
            raise DataError(f"{where}: an empty field, or one too many; expected {', '.join(COLUMNS)}")
        *names, number = (row[key].strip() for key in COLUMNS)
        if methods is not None and names[3] not in methods:
            raise DataError(f"{where}: unknown method {names[3]!r}; expected one of {', '.join(methods)}")
        try:
            score = float(number)
        except ValueError:
            score = np.nan
        if not scale[0] <= score <= scale[1]:
            raise DataError(f"{where}: found the score {number!r}; expected a number from {scale[0]:g} to {scale[1]:g}")
        if tuple(names) in found:
            raise DataError(f"{where}: {names[2]} has rated this video already ({', '.join(names)}); keep one rating")
        found[tuple(names)] = Rating(names[0], names[1], names[2], names[3], score)
    if not found:
        raise DataError(f"{path} holds a header but no rating")
    return list(found.values())


def table(ratings: Iterable[Rating], dimension: str) -> tuple[list[str], list[tuple[str, str]], Float]:
    """Ratings of one question as an array.

    :returns: raters, videos as ``(subject, method)``, and scores ``(raters, videos)``, NaN where there is none.
    :raises DataError: no rating of this question.
    """
    chosen = [rating for rating in ratings if rating.dimension == dimension]
    if not chosen:
        raise DataError(f"no rating of {dimension!r}")
    raters = list(dict.fromkeys(rating.rater for rating in chosen))
    videos = list(dict.fromkeys((rating.subject, rating.method) for rating in chosen))
    scores = np.full((len(raters), len(videos)), np.nan)
    for rating in chosen:
        scores[raters.index(rating.rater), videos.index((rating.subject, rating.method))] = rating.score
    return raters, videos, scores


class MOS(NamedTuple):
    """Mean opinion scores, one entry for each video."""

    mean: Float
    sos: Float  #: standard deviation of opinion scores
    half: Float  #: half the width of the 95% interval, by Student's t over raters
    raters: NDArray[np.int64]


def mos(scores: Float) -> MOS:
    """Mean opinion score of each video.

    :param scores: ``(raters, videos)``, NaN where a rater did not rate.
    :raises MetricError: a video with fewer than two ratings.
    """
    scores = np.asarray(scores, float)
    count = np.isfinite(scores).sum(axis=0)
    if scores.ndim != 2 or (count < 2).any():
        raise MetricError("a video has fewer than two ratings; its interval is undefined: leave it out")
    mean, sos = np.nanmean(scores, axis=0), np.nanstd(scores, axis=0, ddof=1)
    return MOS(mean, sos, stats.t.ppf(0.975, count - 1) * sos / np.sqrt(count), count)


def sos_parameter(mean: Float, sos: Float, scale: tuple[float, float] = SCALE) -> float:
    """The a of ``SOS^2 = a (MOS - low) (high - MOS)``: 0 where raters agree, 1 where they use only both ends.

    Source: Hossfeld, Schatz, Egger, *SOS: The MOS is not enough!*, QoMEX 2011.
    """
    room = (np.asarray(mean) - scale[0]) * (scale[1] - np.asarray(mean))
    return float((room * np.asarray(sos) ** 2).sum() / (room**2).sum())


def outliers_bt500(scores: Float) -> NDArray[np.bool_]:
    """Raters to leave out by ITU-R BT.500 (annex 1): often far from the others, on both sides.

    Far is two standard deviations where a video's ratings are roughly normal (kurtosis 2 to 4), else the square root
    of 20. A rater is out who is far in more than 5% of the videos and about as often above as below.

    :param scores: ``(raters, videos)``, NaN where a rater did not rate.
    :returns: ``(raters,)``, True: leave out.
    """
    scores = np.asarray(scores, float)
    mean, spread = np.nanmean(scores, axis=0), np.nanstd(scores, axis=0, ddof=1)
    moments = [np.nanmean((scores - mean) ** power, axis=0) for power in (2, 4)]
    kurtosis = np.divide(moments[1], moments[0] ** 2, out=np.full(len(mean), 3.0), where=moments[0] > 0)
    far = np.where((kurtosis >= 2) & (kurtosis <= 4), 2, np.sqrt(20)) * spread
    moved = spread > 0
    above = (moved & (scores >= mean + far)).sum(axis=1)
    below = (moved & (scores <= mean - far)).sum(axis=1)
    often = above + below
    balanced = np.abs(above - below) < 0.3 * often
    return np.asarray((often > 0.05 * np.isfinite(scores).sum(axis=1)) & balanced)


def outliers_p913(scores: Float, threshold: float = 0.75) -> NDArray[np.bool_]:
    """Raters to leave out by the correlation rule of ITU-T P.913: their scores do not follow those of all.

    The rater who correlates least with the mean over raters goes first, while the correlation is below ``threshold``;
    then means are taken anew. Applied to videos (the recommendation's r1).

    :param scores: ``(raters, videos)``, NaN where a rater did not rate.
    :returns: ``(raters,)``, True: leave out; at least two raters stay.
    """
    scores = np.asarray(scores, float)
    out = np.zeros(len(scores), bool)
    while (~out).sum() > 2:
        mean = np.nanmean(scores[~out], axis=0)
        follows = np.array([np.inf if gone else _follows(row, mean) for row, gone in zip(scores, out, strict=True)])
        worst = int(np.argmin(follows))
        if follows[worst] >= threshold:
            break
        out[worst] = True
    return out


def _follows(row: Float, mean: Float) -> float:
    there = np.isfinite(row)
    if there.sum() < 3 or np.ptp(row[there]) == 0 or np.ptp(mean[there]) == 0:
        return 0.0  # the same answer to everything follows nothing
    return float(np.corrcoef(row[there], mean[there])[0, 1])
