"""SyncNet: the two-stream expert that hears 0.2 s of sound and sees five frames of a face.

Source: Chung and Zisserman, *Out of time: automated lip sync in the wild* (ACCV workshop 2016). The layer sizes and
state-dict names of :meth:`SyncNetConfig.v2` are those of the released ``syncnet_v2.model``, so it loads unchanged and
gives the same embeddings. :meth:`SyncNetConfig.mini` is the same topology, small enough to ship and to train on a CPU.

The lip stream's only temporal kernel spans the whole window, so its 3-D convolutions are 2-D convolutions over
``3 * 5`` stacked channels: same numbers, and the fast path of every CPU library. The audio stream cannot be run
densely over a clip instead of window by window: each window is zero-padded on its own, and the padding reaches the
embedding.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tfg.audio import SAMPLES_PER_FRAME, mfcc
from tfg.errors import CheckpointError, FeatureError
from tfg.experts.batch_norm import fold_batch_norm
from tfg.experts.checkpoints import load_strict

WINDOW = 5  # video frames in one lip window
CEPSTRA = 13
COLUMNS = 20  # MFCC columns in one audio window: 100 a second over the same 0.2 s
COLUMNS_PER_FRAME = 4

Float = NDArray[np.float32]
Widths = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class SyncNetConfig:
    """Sizes of the two streams.

    :ivar image_size: side ``S`` of the square face crop, pixels.
    :ivar lip_widths: output channels of the six lip convolutions.
    :ivar audio_widths: output channels of the six audio convolutions.
    :ivar embed_dim: size ``E`` of the joint embedding.
    :ivar last_lip_pool: max-pool before the last lip convolution, which must see a 6 x 6 map.
    :ivar pixel_scale: pixels 0..255 are multiplied by this inside the network.
    :ivar rectified: a ReLU after the heads, so that a cosine of two embeddings lies in [0, 1] and its logarithm is
        defined (Wav2Lip's expert does this); without it embeddings are signed and compared by Euclidean distance.
    """

    image_size: int = 224
    lip_widths: Widths = (96, 256, 256, 256, 256, 512)
    audio_widths: Widths = (64, 192, 384, 256, 256, 512)
    embed_dim: int = 1024
    last_lip_pool: bool = True
    pixel_scale: float = 1.0
    rectified: bool = False

    @classmethod
    def v2(cls) -> SyncNetConfig:
        """The released network: 224-pixel crops, 1024-d signed embeddings, 13,631,616 parameters."""
        return cls()

    @classmethod
    def mini(cls) -> SyncNetConfig:
        """Ours: 112-pixel crops, 256-d rectified embeddings, 2.2 million parameters."""
        return cls(
            image_size=112,
            lip_widths=(32, 64, 96, 96, 96, 256),
            audio_widths=(32, 64, 128, 96, 96, 256),
            embed_dim=256,
            last_lip_pool=False,
            pixel_scale=1 / 255,
            rectified=True,
        )


class _WindowConv(nn.Conv3d):
    """A 3-D convolution whose kernel spans all the time there is, computed as the 2-D convolution that it is.

    The weight keeps its released shape ``(out, in, time, rows, columns)``; the input is ``(N, in * time, H, W)``.
    """

    def __init__(self, n_in: int, n_out: int, frames: int, size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(n_in, n_out, (frames, size, size), (1, stride, stride), (0, padding, padding))
        self.planar = {"stride": stride, "padding": padding}

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.flatten(1, 2), self.bias, **self.planar)


def _lip_stream(widths: Widths, last_pool: bool) -> nn.Sequential:
    a, b, c, d, e, f = widths
    convs = [
        _WindowConv(3, a, WINDOW, 7, stride=2),
        _WindowConv(a, b, 1, 5, stride=2, padding=1),
        _WindowConv(b, c, 1, 3, padding=1),
        _WindowConv(c, d, 1, 3, padding=1),
        _WindowConv(d, e, 1, 3, padding=1),
        _WindowConv(e, f, 1, 6),
    ]
    pools = {0: nn.MaxPool2d(3, 2), 1: nn.MaxPool2d(3, 2, 1), 4: nn.MaxPool2d(3, 2) if last_pool else nn.Identity()}
    return _stream(convs, pools)


def _audio_stream(widths: Widths) -> nn.Sequential:
    a, b, c, d, e, f = widths
    convs = [
        nn.Conv2d(1, a, 3, padding=1),
        nn.Conv2d(a, b, 3, padding=1),
        nn.Conv2d(b, c, 3, padding=1),
        nn.Conv2d(c, d, 3, padding=1),
        nn.Conv2d(d, e, 3, padding=1),
        nn.Conv2d(e, f, (5, 4)),
    ]
    # the released network has a 1 x 1 pool after its first convolution: it does nothing but takes an index
    return _stream(convs, {0: nn.Identity(), 1: nn.MaxPool2d(3, (1, 2)), 4: nn.MaxPool2d(3, 2)})


def _stream(convs: Sequence[nn.Conv2d | nn.Conv3d], pools: Mapping[int, nn.Module]) -> nn.Sequential:
    """Convolution, batch norm, ReLU, with pools between: indices as in the released state dict (0 to 20)."""
    layers: list[nn.Module] = []
    for i, conv in enumerate(convs):
        layers += [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True)]
        if i in pools:
            layers.append(pools[i])
    return nn.Sequential(*layers)


def _head(width: int, embed_dim: int, rectified: bool) -> nn.Sequential:
    layers = [nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True), nn.Linear(width, embed_dim)]
    return nn.Sequential(*layers, nn.ReLU()) if rectified else nn.Sequential(*layers)


class SyncNet(nn.Module):
    """Lip and audio embeddings that are close when mouth and voice belong together.

    :param config: sizes; the released network by default.
    """

    def __init__(self, config: SyncNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SyncNetConfig.v2()
        self.netcnnaud = _audio_stream(config.audio_widths)
        self.netfcaud = _head(config.audio_widths[-1], config.embed_dim, config.rectified)
        self.netcnnlip = _lip_stream(config.lip_widths, config.last_lip_pool)
        self.netfclip = _head(config.lip_widths[-1], config.embed_dim, config.rectified)
        self.frozen = False

    # ---- one window at a time -------------------------------------------------------------------------------------

    def forward_lip(self, windows: Tensor) -> Tensor:
        """Embed lip windows; differentiable with respect to the pixels.

        :param windows: ``(N, 3, 5, S, S)``, channels **blue, green, red** as the released weights expect, values
            0..255 (any real dtype), ``S = config.image_size``. :meth:`embed_face` takes RGB crops instead.
        :returns: ``(N, E)``, not L2-normalised.
        :raises FeatureError: wrong shape.
        """
        size = self.config.image_size
        if windows.ndim != 5 or tuple(windows.shape[1:]) != (3, WINDOW, size, size):
            raise FeatureError(
                f"lip windows have shape {tuple(windows.shape)}; expected (N, 3, {WINDOW}, {size}, {size}): "
                f"BGR, five frames, face crops of {size} x {size} (tfg.crops.face_crops_syncnet(..., size={size}))"
            )
        # pixels become rows of 15 numbers (channels-last); integers are converted after that, four bytes later
        stacked = windows.permute(0, 3, 4, 1, 2).reshape(-1, size, size, 3 * WINDOW)
        x = stacked.to(self._dtype).permute(0, 3, 1, 2)
        if self.config.pixel_scale != 1:
            x = x * self.config.pixel_scale
        return self.netfclip(self.netcnnlip(x).flatten(1))

    def forward_audio(self, windows: Tensor) -> Tensor:
        """Embed audio windows.

        :param windows: ``(N, 1, 13, 20)``: 20 consecutive columns of :func:`tfg.audio.mfcc`, transposed.
        :returns: ``(N, E)``, not L2-normalised.
        :raises FeatureError: wrong shape.
        """
        if windows.ndim != 4 or tuple(windows.shape[1:]) != (1, CEPSTRA, COLUMNS):
            raise FeatureError(
                f"audio windows have shape {tuple(windows.shape)}; expected (N, 1, {CEPSTRA}, {COLUMNS}): "
                f"{COLUMNS} MFCC columns, as embed_audio takes them from tfg.audio.mfcc"
            )
        x = windows.to(self._dtype).contiguous(memory_format=torch.channels_last)
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.netfclip.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.netfclip.parameters()).device

    # ---- a whole clip ---------------------------------------------------------------------------------------------

    def embed_face(self, crops: NDArray[np.uint8], batch: int = 6) -> Float:
        """Embed every five-frame window of a clip's face crops.

        :param crops: ``uint8 (T, S, S, 3)`` **RGB**, :func:`tfg.crops.face_crops_syncnet`; ``T >= 5``.
        :param batch: windows computed at once; the result does not depend on it. Six keep the first feature map of
            the released network (4.6 MB a window) small enough to be reused from cache; a GPU wants more.
        :returns: ``float32 (T - 4, E)``; row ``i`` has seen frames ``i .. i + 4``.
        :raises FeatureError: wrong shape or dtype, too few frames, or the network is in training mode.
        """
        size = self.config.image_size
        crops = np.asarray(crops)
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise FeatureError(
                f"face crops are {crops.dtype} {crops.shape}; expected uint8 (T, {size}, {size}, 3) RGB: "
                f"tfg.crops.face_crops_syncnet(clip, track, size={size})"
            )
        if len(crops) < WINDOW:
            raise FeatureError(f"{len(crops)} face crops; SyncNet needs at least {WINDOW} frames (0.2 s)")
        self._check_eval()
        bgr = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1]))
        windows = bgr.unfold(0, WINDOW, 1).permute(0, 3, 4, 1, 2)  # a view: nothing is copied five times here
        with torch.inference_mode():
            rows = [self.forward_lip(part.to(self.device)) for part in windows.split(batch)]
        return torch.cat(rows).float().cpu().numpy()

    def embed_audio(self, cepstra: NDArray[np.floating], batch: int = 128) -> Float:
        """Embed the audio window that begins with each video frame.

        :param cepstra: ``(F, 13)``, :func:`tfg.audio.mfcc`: 100 rows a second; ``F >= 20``.
        :param batch: windows computed at once.
        :returns: ``float32 (M, E)``, ``M = (F - 20) // 4 + 1``; row ``i`` has heard MFCC rows ``4 i .. 4 i + 19``.
        :raises FeatureError: wrong shape, too short, or the network is in training mode.
        """
        cepstra = np.asarray(cepstra, dtype=np.float32)
        if cepstra.ndim != 2 or cepstra.shape[1] != CEPSTRA:
            raise FeatureError(f"cepstra have shape {cepstra.shape}; expected (F, {CEPSTRA}) from tfg.audio.mfcc")
        if len(cepstra) < COLUMNS:
            raise FeatureError(f"{len(cepstra)} MFCC rows; SyncNet needs at least {COLUMNS} (0.2 s of sound)")
        self._check_eval()
        columns = torch.from_numpy(cepstra)
        windows = columns.unfold(0, COLUMNS, COLUMNS_PER_FRAME)[:, None]
        with torch.inference_mode():
            rows = [self.forward_audio(part.to(self.device)) for part in windows.split(batch)]
        return torch.cat(rows).float().cpu().numpy()

    def embed(self, crops: NDArray[np.uint8], audio: NDArray[np.floating]) -> tuple[Float, Float]:
        """Lip and audio embeddings of one clip, window by window, as the LSE protocol pairs them.

        :param crops: ``uint8 (T, S, S, 3)`` RGB at 25 fps.
        :param audio: ``float32 (N,)`` in [-1, 1], 16 kHz mono, beginning with the first crop.
        :returns: ``(lip, audio)``, each ``float32 (W, E)`` with ``W = min(T, N // 640) - 5``: one fewer than the
            ``T - 4`` windows of the video, because ``640 T`` samples give ``4 T - 1`` MFCC rows, which end inside
            the last audio window. Row ``i`` of both begins at frame ``i``.
        :raises FeatureError: fewer than 6 frames of either, or see :meth:`embed_face`, :meth:`embed_audio`.

        Source: ``SyncNetInstance.evaluate`` of the released code.
        """
        frames = min(len(crops), len(audio) // SAMPLES_PER_FRAME)
        count = frames - WINDOW
        if count < 1:
            raise FeatureError(
                f"{len(crops)} face crops with {len(audio)} samples of sound ({len(audio) // SAMPLES_PER_FRAME} "
                f"frames); SyncNet pairs need at least {WINDOW + 1} frames (0.24 s) of both"
            )
        return self.embed_face(crops[: frames - 1]), self.embed_audio(mfcc(audio))[:count]

    def _check_eval(self) -> None:
        if self.training:
            raise FeatureError(
                "the SyncNet is in training mode, where batch norm mixes the clips of a batch: call .eval(), or "
                ".freeze() for a faster copy"
            )

    # ---- weights --------------------------------------------------------------------------------------------------

    def load_official(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load weights under the released names (``netcnnlip.0.weight`` ...); a ``module.`` prefix is dropped.

        :raises CheckpointError: any name or shape differs, or this is a frozen copy; nothing is loaded then.
        """
        if self.frozen:
            raise CheckpointError("this SyncNet is frozen (batch norm folded): load the weights, then call .freeze()")
        state = {key.removeprefix("module."): value for key, value in state_dict.items()}
        load_strict(self, state, f"SyncNet ({self.config.image_size} px, {self.config.embed_dim}-d)")

    def freeze(self) -> SyncNet:
        """A faster copy for scoring and for losses: batch norm folded, eval mode, no gradient to its weights.

        Gradients still reach the *input* of :meth:`forward_lip`. Embeddings equal the original's eval-mode ones to
        rounding. The copy cannot be trained or loaded into: its state dict is not the released one.
        """
        frozen = copy.deepcopy(self).eval()
        if not self.frozen:
            for stream in (frozen.netcnnaud, frozen.netfcaud, frozen.netcnnlip, frozen.netfclip):
                freeze_stream(stream)
        frozen.frozen = True
        return frozen.requires_grad_(False)


@torch.no_grad()
def freeze_stream(stream: nn.Sequential) -> None:
    """Fold each batch norm into the layer before it, in place; window convolutions become 2-D ones."""
    for i, (layer, norm) in enumerate(itertools.pairwise(stream)):
        if not isinstance(norm, nn.BatchNorm2d | nn.BatchNorm1d):
            continue
        fold_batch_norm(layer, norm)
        if isinstance(layer, _WindowConv):
            weight = layer.weight.flatten(1, 2)
            planar = nn.Conv2d(weight.shape[1], weight.shape[0], layer.kernel_size[1:], **layer.planar)  # type: ignore[arg-type]
            planar.weight, planar.bias = nn.Parameter(weight), layer.bias
            stream[i] = layer = planar
        if isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(layer.weight.contiguous(memory_format=torch.channels_last))
        stream[i + 1] = nn.Identity()
    for i, (layer, pool) in enumerate(itertools.pairwise(stream)):
        if isinstance(layer, nn.ReLU) and isinstance(pool, nn.MaxPool2d):
            stream[i], stream[i + 1] = pool, layer  # they commute, and after the pool there is a quarter of the work
