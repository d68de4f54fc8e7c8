"""Features of prepared clips (:mod:`tfg.datasets.prepared`): whole corpora in seconds, since nothing is decoded."""

from __future__ import annotations

from tfg.datasets.prepared import PreparedClip
from tfg.experts.expert import SyncNetExpert
from tfg.experts.syncnet import WINDOW
from tfg.stability.cosines import Expert, Float


def prepared_features(expert: Expert, clip: PreparedClip) -> tuple[Float, Float]:
    """``(F_A, F_V)`` as :meth:`clip_features` gives them, from crops and audio features that were made before.

    :raises FeatureError: the crops are not of the size that the expert was made for.
    """
    if isinstance(expert, SyncNetExpert):
        count = clip.n_frames - WINDOW
        return expert.model.embed_audio(clip.mfcc)[:count], expert.model.embed_face(clip.face[: clip.n_frames - 1])
    return expert.encode(audio=clip.fbank), expert.encode(mouth=clip.mouth)
