"""The paper's sync loss: AV-HuBERT watches the whole target clip with the generated faces in it.

    L_sync = -log CS(F_A, F_V)      over the frames t .. t + k - 1 of a generated window

as Figure 3 draws it: the generated faces are inserted into the clip, the mouth is cut out by the clip's *own*
alignment, and the features come from the whole clip, so that the window is heard and seen in its context.

What a window changes, and what it does not:

* the visual front end looks two frames around (its first convolution), so a window of k frames changes k + 4 of its
  outputs. The others are computed once per clip: the *halo cache*;
* the transformer attends to everything: it runs over the whole clip each time;
* F_A does not depend on the picture: it is computed once per clip.

Nothing is approximated; value and gradient are those of the full pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tfg.audio import stacked_filterbank
from tfg.clip import VideoSource
from tfg.crops import GREY_MEAN, GREY_STD, MOUTH_CROP, MOUTH_INPUT, generator_boxes, mouth_transforms
from tfg.errors import LossError
from tfg.experts.expert import WHOLE, AVHubertExpert, track_audio
from tfg.experts.resnet import TEMPORAL_CONTEXT, stack_neighbours
from tfg.faces import FaceTrack, track_face
from tfg.losses.insertion import Insertion, to_grey
from tfg.losses.sync import FLOOR, SyncLoss, Windows

Metric = Literal["avs_u", "avs_m", "avs_v"]
Context = Literal["clip", "window"]
_REACH = range(-TEMPORAL_CONTEXT, TEMPORAL_CONTEXT + 1)
_COMPARED = {
    "avs_u": "generated lips with the sound (the paper's loss)",
    "avs_m": "sound and generated lips with sound and real lips",
    "avs_v": "generated lips with real lips",
}


@dataclass(frozen=True, eq=False)
class AVHubertTarget:
    """A clip as `AVHubertSyncLoss.prepare` leaves it.

    ``mouths``: the mouth crops, and how faces enter them. ``video``: ``(T, h, w)`` the clip's own crops, normalised and
    pooled as the network reads them. ``front``: ``(T, D)`` its visual front end's outputs. ``heard``: ``(T, D)`` the
    audio front end's (None: the network shall not hear). ``reference``: ``(T, D)`` what the features are compared with.
    ``source``: the clip. ``metric``: of the loss that prepared it.
    """

    mouths: Insertion
    video: Tensor
    front: Tensor
    heard: Tensor | None
    reference: Tensor
    source: str
    metric: Metric

    def __len__(self) -> int:
        return len(self.video)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.video.device

    def to(self, device: torch.device | str) -> AVHubertTarget:
        """The same on another device."""
        return replace(
            self,
            mouths=self.mouths.to(device),
            video=self.video.to(device),
            front=self.front.to(device),
            heard=None if self.heard is None else self.heard.to(device),
            reference=self.reference.to(device),
        )


class AVHubertSyncLoss(SyncLoss[AVHubertTarget]):
    """``-log`` of one of the paper's three metrics, over the frames of each generated window.

    :param expert: a frozen AV-HuBERT of any size; its ``layer`` is respected.
    :param metric: what is compared (:mod:`tfg.metrics.sync`). ``"avs_u"``, the paper's loss: F_A with the features of
        the generated lips. ``"avs_m"``: features of sound and generated lips with those of sound and real lips.
        ``"avs_v"``: features of generated lips with those of real lips. The last two need, as the target clip, the
        real video of the words that are spoken; a perfect copy of it has loss 0.
    :param context: what the expert attends to: the whole clip with the windows in it (the paper's Figure 3), or, for
        comparison, each window alone.
    :param floor: see :class:`SyncLoss`.
    :raises LossError: an unknown metric or context, another kind of expert, or a floor outside (0, 1).

    The cosine of a window is the mean of its frames' cosines, as in the metrics: ``loss = -log(AVS over the window)``.

    Source: Yaman et al., CVPRW 2024 (arXiv 2405.04327), section 3.2, Figure 3.
    """

    def __init__(
        self, expert: AVHubertExpert, metric: Metric = "avs_u", context: Context = "clip", floor: float = FLOOR
    ) -> None:
        super().__init__(floor)
        if not isinstance(expert, AVHubertExpert):
            raise LossError(
                f"expert is a {type(expert).__name__}; expected AV-HuBERT: tfg.load_expert('avhubert-mini')"
            )
        if metric not in _COMPARED:
            raise LossError(f"metric is {metric!r}; expected one of {', '.join(_COMPARED)}")
        if context not in get_args(Context):
            raise LossError(f"context is {context!r}; expected one of {', '.join(get_args(Context))}")
        self.expert, self.metric, self.context = expert, metric, context
        attended = "" if context == "clip" else ", each window alone"
        self.prepares = f"{expert.name} {metric}"
        self.name = f"-log {metric} of {expert.name}: {_COMPARED[metric]}{attended}"

    def prepare(
        self, clip: VideoSource, track: FaceTrack | None = None, boxes: NDArray[np.floating] | None = None
    ) -> AVHubertTarget:
        track = track or track_face(clip)
        source = clip.source or "the clip"
        if len(track) > WHOLE:
            raise LossError(
                f"{source}: the track has {len(track)} frames; expected at most {WHOLE}, which the expert attends to "
                "as a whole: cut it with clip.trim and track the face again"
            )
        model, some = self.expert.model, next(self.expert.model.parameters())
        transforms = mouth_transforms(track)
        transforms[:, :, 2] -= (MOUTH_CROP - MOUTH_INPUT) // 2
        boxes = generator_boxes(track) if boxes is None else boxes
        with torch.no_grad():
            mouths, whole = Insertion.of(
                clip,
                track,
                boxes,
                transforms,
                MOUTH_INPUT,
                some,
                grey=True,
            )
            video = self._read(whole)
            front = self._front(stack_neighbours(video[None]))
            sound = torch.from_numpy(stacked_filterbank(track_audio(clip, track), len(track)))
            heard = None if self.metric == "avs_v" else model.audio_front(sound.to(some)[None])
            reference = self._reference(heard, front)[0]
        heard = None if heard is None else heard[0]
        return AVHubertTarget(mouths, video, front[0], heard, reference, source, self.metric)

    def _reference(self, heard: Tensor | None, front: Tensor) -> Tensor:
        """What the features are compared with, ``(B, T, D)``."""
        seen = None if self.metric == "avs_u" else front
        return self.expert.model.fuse_and_encode(heard, seen, layer=self.expert.layer)

    def _alone(self, target: AVHubertTarget, start: int, stop: int) -> AVHubertTarget:
        """The clip cut to one window: its ends are then the window's, for the front end as for the transformer."""
        video = target.video[start:stop]
        heard = None if target.heard is None else target.heard[start:stop]
        with torch.no_grad():
            front = self._front(stack_neighbours(video[None]))
            reference = self._reference(None if heard is None else heard[None], front)[0]
        mouths = target.mouths.rows(list(range(start, stop)))
        return replace(target, mouths=mouths, video=video, front=front[0], heard=heard, reference=reference)

    def cosines(self, windows: Windows, targets: Sequence[AVHubertTarget]) -> Tensor:
        for target in targets:
            if target.metric != self.metric:
                raise LossError(
                    f"the target of {target.source} was prepared for {target.metric}, this loss compares "
                    f"{self.metric}: prepare it with this loss"
                )
        n, w, k = windows.shape
        if self.context == "window":
            begin = range(0, n * w * k, k)
            targets = [self._alone(targets[windows.copies[i]], windows.frames[i], windows.frames[i] + k) for i in begin]
            copies, frames = [copy for copy in range(n * w) for _ in range(k)], list(range(k)) * (n * w)
            windows = replace(windows, copies=copies, frames=frames)
        features = self.features(windows, targets)[windows.copies, windows.frames]
        reference = pad_sequence([target.reference for target in targets], batch_first=True)
        cosine = F.cosine_similarity(features.to(reference.dtype), reference[windows.copies, windows.frames], dim=-1)
        return cosine.view(n, w, k).mean(dim=-1)

    def features(self, windows: Windows, targets: Sequence[AVHubertTarget]) -> Tensor:
        """Features of the composed clips, ``(N, T, D)``; rows beyond a shorter clip's end mean nothing."""
        front = pad_sequence([target.front for target in targets], batch_first=True)
        (copies, frames), changed = self._changed_front(windows, targets)
        front = front.index_put((copies, frames), changed.to(front.dtype))
        lengths = [len(target) for target in targets]
        padding = None
        if len(set(lengths)) > 1:
            places = torch.arange(max(lengths), device=front.device)
            padding = places >= torch.tensor(lengths, device=front.device)[:, None]
        heard = None
        if self.metric == "avs_m":  # the features of generated lips are those of sound and lips
            heard = pad_sequence([t.heard for t in targets if t.heard is not None], batch_first=True)
        return self.expert.model.fuse_and_encode(heard, front, padding, self.expert.layer)

    def _changed_front(
        self, windows: Windows, targets: Sequence[AVHubertTarget]
    ) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The front end's outputs that the windows change, and the ``(copy, frame)`` they belong to.

        Windows of one copy may lie so close that their halos meet: each output is computed once, from all frames that
        are generated.
        """
        each = len(windows.frames) // len(targets)
        replaced = [windows.frames[i : i + each] for i in range(0, len(windows.frames), each)]
        mouths = Insertion.join([target.mouths.rows(rows) for target, rows in zip(targets, replaced, strict=True)])
        generated = self._read(mouths.insert(to_grey(windows.faces.to(mouths.around.dtype))))

        def neighbours(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
            return sorted({(n, t + d) for n, t in places for d in _REACH if 0 <= t + d < len(targets[n])})

        row = {place: i for i, place in enumerate(zip(windows.copies, windows.frames, strict=True))}
        changed = neighbours(row)
        own = [place for place in neighbours(changed) if place not in row]
        row |= {place: len(row) + i for i, place in enumerate(own)}
        beyond = torch.zeros_like(generated[0])  # what the first convolution sees past the clip's ends
        first = np.cumsum([0, *(len(target) for target in targets)])  # of each clip, end to end
        kept = torch.tensor([first[n] + t for n, t in own], dtype=torch.long, device=beyond.device)
        real = torch.cat([target.video for target in targets]).index_select(0, kept)
        pictures = torch.cat([generated, real, beyond[None]])
        seen = torch.tensor([[row.get((n, t + d), len(row)) for d in _REACH] for n, t in changed], device=beyond.device)
        stacks = pictures.index_select(0, seen.flatten()).view(*seen.shape, *beyond.shape)
        copies, frames = torch.tensor(changed, device=beyond.device).T
        return (copies, frames), self._front(stacks.permute(0, 2, 3, 1)[None])[0]

    def _read(self, grey: Tensor) -> Tensor:
        """Grey crops ``(M, 1, 88, 88)`` in [0, 1] -> what the front end convolves, ``(M, h, w)``."""
        return self.expert.model.feature_extractor_video.resnet.pool((grey - GREY_MEAN) / GREY_STD)[:, 0]

    def _front(self, stacks: Tensor) -> Tensor:
        """Frames with their neighbours ``(B, T, h, w, 5)`` -> the visual front end's outputs ``(B, T, D)``."""
        front_end = self.expert.model.feature_extractor_video
        return front_end.proj(front_end.resnet.of_stacks(stacks))
