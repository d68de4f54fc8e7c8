"""The lip-sync expert of Wav2Lip: a colour SyncNet that looks at the lower half of the face.

Source: Prajwal, Mukhopadhyay, Namboodiri, Jawahar, *A Lip Sync Expert Is All You Need for Speech to Lip Generation In
The Wild* (ACM MM 2020). Layer sizes and state-dict names are those of the released ``lipsync_expert.pth``. Its
embeddings pass through a ReLU and are L2-normalised, so their cosine lies in [0, 1] and is read as the probability
that mouth and sound belong together.

Wav2Lip's own trainers never put this network in eval mode, so its batch norm sees the generated faces; use
:meth:`LipExpert.freeze`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tfg.errors import CheckpointError, FeatureError
from tfg.experts.checkpoints import load_strict
from tfg.experts.syncnet import WINDOW, freeze_stream

FACE_SIZE = 96
BANDS, COLUMNS = 80, 16  # mel bands, columns of one window: 80 a second over 0.2 s

Float = NDArray[np.float32]


class Block(nn.Module):
    """Convolution, batch norm, ReLU, with the input added before the ReLU where it fits (``residual``)."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding), nn.BatchNorm2d(n_out))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


def stage(n_in: int, n_out: int, stride: int | tuple[int, int], residuals: int, size: int = 3) -> list[Block]:
    """A block that changes the size of the map, and residual blocks after it."""
    first = Block(n_in, n_out, size, stride)
    return [first, *(Block(n_out, n_out, residual=True) for _ in range(residuals))]


class LipExpert(nn.Module):
    """Wav2Lip's colour SyncNet, 16,435,072 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder = nn.Sequential(
            Block(3 * WINDOW, 32, 7, padding=3),
            *stage(32, 64, (1, 2), 2, size=5),
            *stage(64, 128, 2, 3),
            *stage(128, 256, 2, 2),
            *stage(256, 512, 2, 2),
            Block(512, 512, stride=2),
            Block(512, 512, padding=0),
            Block(512, 512, 1, padding=0),
        )
        self.audio_encoder = nn.Sequential(
            *stage(1, 32, 1, 2),
            *stage(32, 64, (3, 1), 2),
            *stage(64, 128, 3, 2),
            *stage(128, 256, (3, 2), 2),
            Block(256, 512, padding=0),
            Block(512, 512, 1, padding=0),
        )
        self.frozen = False

    def forward_face(self, windows: Tensor) -> Tensor:
        """Embed five-frame windows of lower faces; differentiable.

        :param windows: ``(B, 15, 48, 96)`` in [0, 1]: the lower halves of five 96 x 96 faces stacked frame by frame,
            each **blue, green, red**. :meth:`embed_face` takes RGB crops instead.
        :returns: ``(B, 512)``, L2-normalised, not negative.
        :raises FeatureError: wrong shape.
        """
        return self._embed(self.face_encoder, windows, (3 * WINDOW, FACE_SIZE // 2, FACE_SIZE), "face")

    def forward_audio(self, windows: Tensor) -> Tensor:
        """Embed windows of sound.

        :param windows: ``(B, 1, 80, 16)``: 16 columns of :func:`tfg.audio.log_mel`.
        :returns: ``(B, 512)``, L2-normalised, not negative.
        :raises FeatureError: wrong shape.
        """
        return self._embed(self.audio_encoder, windows, (1, BANDS, COLUMNS), "audio")

    def _embed(self, encoder: nn.Sequential, windows: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        if windows.ndim != 4 or tuple(windows.shape[1:]) != shape:
            expected = ", ".join(map(str, shape))
            raise FeatureError(f"{name} windows have shape {tuple(windows.shape)}; expected (B, {expected})")
        x = windows.to(self._reference).contiguous(memory_format=torch.channels_last)
        return F.normalize(encoder(x).flatten(1), dim=1)

    @property
    def _reference(self) -> Tensor:
        return next(self.audio_encoder.parameters())

    def embed_face(self, crops: NDArray[np.uint8], batch: int = 32) -> Float:
        """Embed every five-frame window of a clip.

        :param crops: ``uint8 (T, 96, 96, 3)`` RGB, :func:`tfg.crops.face_crops_wav2lip`; ``T >= 5``.
        :param batch: windows computed at once.
        :returns: ``float32 (T - 4, 512)``; row ``i`` has seen frames ``i .. i + 4``.
        :raises FeatureError: wrong shape or dtype, too few frames, or the network is in training mode.
        """
        crops = np.asarray(crops)
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (FACE_SIZE, FACE_SIZE, 3):
            raise FeatureError(
                f"face crops are {crops.dtype} {crops.shape}; expected uint8 (T, {FACE_SIZE}, {FACE_SIZE}, 3) RGB: "
                "tfg.crops.face_crops_wav2lip(clip, track)"
            )
        if len(crops) < WINDOW:
            raise FeatureError(f"{len(crops)} face crops; the lip expert needs at least {WINDOW} frames (0.2 s)")
        lower = torch.from_numpy(np.ascontiguousarray(crops[:, FACE_SIZE // 2 :, :, ::-1]))
        windows = lower.unfold(0, WINDOW, 1).permute(0, 4, 3, 1, 2).flatten(1, 2)  # (N, 5 frames x 3 colours, 48, 96)
        return self._in_batches(lambda part: self.forward_face(part / 255), windows, batch)

    def embed_audio(self, mel: NDArray[np.floating], batch: int = 128) -> Float:
        """Embed the window of sound that begins with each video frame.

        :param mel: ``(80, M)``, :func:`tfg.audio.log_mel`; ``M >= 16``.
        :param batch: windows computed at once.
        :returns: ``float32 (N, 512)``; row ``i`` has heard columns ``s .. s + 15``, ``s = floor(80 i / 25)``,
            for every frame whose window is complete.
        :raises FeatureError: wrong shape, too short, or the network is in training mode.
        """
        mel = np.asarray(mel, dtype=np.float32)
        if mel.ndim != 2 or len(mel) != BANDS or mel.shape[1] < COLUMNS:
            raise FeatureError(f"mel has shape {mel.shape}; expected ({BANDS}, M >= {COLUMNS}) from tfg.audio.log_mel")
        windows = torch.from_numpy(mel).unfold(1, COLUMNS, 1).transpose(0, 1)  # one for every column
        starts = torch.arange(len(windows)) * 16 // 5  # 80 columns a second, 25 frames a second
        windows = windows[starts[starts < len(windows)], None]
        return self._in_batches(self.forward_audio, windows, batch)

    def _in_batches(self, embed: Callable[[Tensor], Tensor], windows: Tensor, batch: int) -> Float:
        if self.training:
            raise FeatureError(
                "the lip expert is in training mode, where batch norm mixes the clips of a batch: call .eval() or "
                ".freeze()"
            )
        with torch.inference_mode():
            rows = [embed(part.to(self._reference.device)) for part in windows.split(batch)]
        return torch.cat(rows).float().cpu().numpy()

    def load_official(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load weights under the released names; a ``module.`` prefix is dropped.

        :raises CheckpointError: any name or shape differs, or this is a frozen copy; nothing is loaded then.
        """
        if self.frozen:
            raise CheckpointError(
                "this lip expert is frozen (batch norm folded): load the weights, then call .freeze()"
            )
        state = {key.removeprefix("module."): value for key, value in state_dict.items()}
        load_strict(self, state, "Wav2Lip's lip expert")

    def freeze(self) -> LipExpert:
        """A faster copy for losses and scores: batch norm folded, eval mode, no gradient to its weights.

        Gradients still reach the faces given to :meth:`forward_face`.
        """
        frozen = copy.deepcopy(self).eval()
        if not self.frozen:
            for module in frozen.modules():
                if isinstance(module, Block):
                    freeze_stream(module.conv_block)
        frozen.frozen = True
        return frozen.requires_grad_(False)
