"""Every error that ``tfg`` raises on purpose.

A message names the file (or array), what was found, what was expected, and what to do about it. Catch
:class:`TfgError` to catch them all; anything else that escapes is a bug.
"""

from __future__ import annotations


class TfgError(Exception):
    """Base of every deliberate error of this package."""


class MediaError(TfgError):
    """A video or audio file cannot be used."""


class MissingFileError(MediaError):
    """The path does not exist or is not a file."""


class NoVideoError(MediaError):
    """The file has no video stream, or a video stream without a single frame."""


class NoAudioError(MediaError):
    """The file has no audio stream, or an audio stream without a single sample."""


class TruncatedMediaError(MediaError):
    """The file ends before its streams do."""


class FaceError(TfgError):
    """Face detection or tracking cannot give what was asked for."""


class NoFaceError(FaceError):
    """No face was found where one is needed."""


class CropError(TfgError):
    """A crop cannot be taken: the track and the frames do not fit, or a transform is degenerate."""


class FeatureError(TfgError):
    """An array handed to a feature extractor or an expert has the wrong shape, type or range."""


class CheckpointError(TfgError):
    """A checkpoint cannot be read, or does not belong to the architecture asked for."""


class UnsafeCheckpointError(CheckpointError):
    """A checkpoint would have to execute code to be read, and is refused."""


class WeightsError(TfgError):
    """Named weights are unknown, not downloaded, not accepted, or do not match their hash."""


class MetricError(TfgError):
    """A metric is undefined for the arrays it was given."""


class DataError(TfgError):
    """A corpus, a label file or a prepared folder is not laid out as expected."""


class TrainingError(TfgError):
    """A training run cannot start or must stop."""


class StressError(TfgError):
    """A perturbation is unknown, its value leaves its range, or the clip is not one that it applies to."""


class LossError(TfgError):
    """A loss is undefined for the tensors it was given, or lacks what it compares with."""
