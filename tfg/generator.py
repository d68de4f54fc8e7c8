"""The generator: identity reference, masked pose reference and sound in, talking face out.

    generator = Generator(GeneratorConfig.mini())
    face = generator(audio, identity_reference, pose_reference)        # (N, 3, S, S), RGB in [0, 1]

Source: Figure 2 of Yaman et al. (CVPR Workshops 2024): two face encoders of strided convolutions, an audio encoder, a
decoder with skip connections. The figure gives no sizes; those here, and the choices below, are ours.

Skip connections
    Each decoder scale receives the pose encoder's map of its size: what the upper half shows (head, light, hair) lies
    exactly where it must be drawn. The identity reference shows the face at another moment, so its maps do not line up
    with the target. At fine scales they would offer lips ready to be copied; they are passed on at the coarse scales
    only (``identity_scales``), which say what teeth and skin look like.
Sound at every scale
    A sound embedding scales and shifts the normalised maps of each residual block of the decoder (feature-wise
    modulation). The shift alone does what joining the embedding to the bottom of the network would do; having it at
    every scale leaves no scale at which the sound could be ignored.
What is kept, and what is drawn
    In the upper half the decoder's output is added, before the squashing, to the pose reference: a copy from the first
    step. In the hidden half it also says, pixel by pixel, how much of the identity reference is kept
    (``hidden="identity"``): skin, beard and collar are those of another moment, moved to where the head is
    (:mod:`tfg.identity`), and the mouth is drawn over it. With ``hidden="grey"`` nothing is kept: skin and background
    then come from the coarse maps alone, so a small network blurs every face that it has not seen in training. To
    *add* a change to the identity reference instead is no way out: a mouth that is there can only be taken away by one
    who sees it as sharply as it is, and the decoder sees this reference at coarse scales alone.
No checkerboard
    Maps are enlarged by repeating each pixel, then convolved: every output pixel is a sum of the same nine taps, so
    a flat map stays flat. A transposed convolution of three taps with a stride of two sums 1, 2 or 4 of them in turn
    (Odena et al., Distill 2016), and its gradient carries the same pattern.
No batch norm
    A face is drawn the same alone or in a batch, in training or afterwards, by one process or by several. Maps are
    normalised within a sample, inside residual branches only, so that brightness and colour pass along the trunk; the
    audio encoder does not normalise at all, because loudness is meaning: silence closes the mouth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tfg.crops import generator_boxes
from tfg.errors import CheckpointError, FeatureError
from tfg.experts.checkpoints import Checkpoint, load_strict, read_checkpoint
from tfg.experts.expert import find_weights, torch_device
from tfg.experts.lip_expert import BANDS, COLUMNS
from tfg.faces import FaceTrack
from tfg.generator_inputs import check_generator_inputs, mask_lower_half
from tfg.wav2lip import Wav2LipGenerator

GROUP = 16  # channels that are normalised together; vector units of CPUs and GPUs like multiples of it too
SLOPE = 0.2  # of the leaky ReLU below zero
MEL_RANGE = 4.0  # log_mel lies in [-4, 4]
Hidden = Literal["identity", "grey"]
BLACKEST = 0.01  # pixels are kept this far from 0 and 1 when the sigmoid is inverted
KEPT = 2.0  # logit of the share that a new network keeps of the identity reference: most of it


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the generator. Tuples run from the finest scale (``image_size``) to the coarsest, halving at each step.

    :ivar image_size: side ``S`` of the face in pixels.
    :ivar widths: channels of each scale, multiples of 16.
    :ivar encoder_blocks: residual blocks of each scale of the two face encoders.
    :ivar decoder_blocks: residual blocks of each scale of the decoder, where the sound comes in; at least one at the
        coarsest.
    :ivar identity_scales: on how many scales, counted from the coarsest, the decoder sees the identity reference.
    :ivar audio_widths: channels of the audio encoder on 80 x 16, 40 x 8, 20 x 4, 10 x 2; multiples of 16.
    :ivar audio_blocks: residual blocks of each of these.
    :ivar audio_dim: size of the sound embedding.
    :ivar hidden: what is seen in the hidden lower half where nothing is drawn: ``"identity"``, the identity reference;
        with ``"grey"`` all of it is drawn.
    :raises FeatureError: sizes that do not fit together.
    """

    image_size: int
    widths: tuple[int, ...]
    encoder_blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    identity_scales: int
    audio_widths: tuple[int, int, int, int]
    audio_blocks: int
    audio_dim: int
    hidden: Hidden = "identity"

    def __post_init__(self) -> None:
        scales = len(self.widths)
        if scales < 2 or len(self.encoder_blocks) != scales or len(self.decoder_blocks) != scales:
            raise FeatureError(
                f"widths has {scales} scales, encoder_blocks {len(self.encoder_blocks)} and decoder_blocks "
                f"{len(self.decoder_blocks)}; expected the same number, at least 2"
            )
        if self.image_size < 2**scales or self.image_size % 2 ** (scales - 1):
            raise FeatureError(
                f"image_size is {self.image_size}; {scales} scales halve it {scales - 1} times: expected a multiple of "
                f"{2 ** (scales - 1)}, at least {2**scales}"
            )
        if any(width < GROUP or width % GROUP for width in (*self.widths, *self.audio_widths)):
            raise FeatureError(
                f"widths are {self.widths} and audio_widths {self.audio_widths}; expected positive multiples of {GROUP}"
            )
        if len(self.audio_widths) != 4:
            raise FeatureError(f"audio_widths has {len(self.audio_widths)} entries; expected 4")
        if min(*self.encoder_blocks, *self.decoder_blocks, self.audio_blocks) < 0 or self.decoder_blocks[-1] < 1:
            raise FeatureError(
                f"encoder_blocks are {self.encoder_blocks}, decoder_blocks {self.decoder_blocks}, audio_blocks "
                f"{self.audio_blocks}; expected 0 or more, and at least one in the decoder's coarsest scale"
            )
        if not 1 <= self.identity_scales <= scales:
            raise FeatureError(f"identity_scales is {self.identity_scales}; expected 1 to {scales}")
        if self.audio_dim < 1:
            raise FeatureError(f"audio_dim is {self.audio_dim}; expected at least 1")
        if self.hidden not in get_args(Hidden):
            raise FeatureError(f"hidden is {self.hidden!r}; expected one of {', '.join(get_args(Hidden))}")

    @classmethod
    def mini(cls) -> GeneratorConfig:
        """96 pixels, for a laptop's CPU: 2.1 million parameters, 4 MB in float16 (``benchmarks/generator.py``)."""
        return cls(
            image_size=96,
            widths=(16, 32, 64, 80, 96, 112),
            encoder_blocks=(0, 0, 0, 0, 0, 0),
            decoder_blocks=(0, 1, 2, 2, 2, 1),
            identity_scales=4,
            audio_widths=(16, 32, 48, 64),
            audio_blocks=0,
            audio_dim=128,
        )

    @classmethod
    def size96(cls) -> GeneratorConfig:
        """96 pixels at Wav2Lip's scale: 41.9 million parameters, 5.8 GFLOPs a face (Wav2Lip: 36.3 million, 7.9)."""
        return cls(
            image_size=96,
            widths=(32, 64, 128, 256, 384, 512),
            encoder_blocks=(0, 1, 1, 1, 1, 1),
            decoder_blocks=(1, 2, 2, 2, 2, 2),
            identity_scales=4,
            audio_widths=(32, 64, 128, 256),
            audio_blocks=1,
            audio_dim=512,
        )

    @classmethod
    def size256(cls) -> GeneratorConfig:
        """256 pixels, for a GPU: 42.6 million parameters, 19.9 GFLOPs a face."""
        return cls(
            image_size=256,
            widths=(32, 64, 96, 128, 256, 384, 512),
            encoder_blocks=(0, 0, 1, 1, 1, 1, 1),
            decoder_blocks=(0, 1, 2, 2, 2, 2, 2),
            identity_scales=4,
            audio_widths=(32, 64, 128, 256),
            audio_blocks=1,
            audio_dim=512,
        )


# ---- parts --------------------------------------------------------------------------------------------------------


def _conv(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution and leaky ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1), nn.LeakyReLU(SLOPE, inplace=True))


class _Residual(nn.Module):
    """``x + conv(activation(norm(x)))``; without ``norm``, ``x + conv(activation(x))``."""

    def __init__(self, width: int, normalised: bool = True) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(width // GROUP, width) if normalised else nn.Identity()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.leaky_relu(self.norm(x), SLOPE))


class _HeardResidual(nn.Module):
    """A residual block whose normalised map is scaled and shifted, channel by channel, by the sound."""

    def __init__(self, width: int, audio_dim: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(width // GROUP, width, affine=False)
        self.modulation = nn.Linear(audio_dim, 2 * width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, sound: Tensor) -> Tensor:
        scale, shift = self.modulation(sound)[:, :, None, None].chunk(2, dim=1)
        return x + self.conv(F.leaky_relu(self.norm(x) * (1 + scale) + shift, SLOPE))


class FaceEncoder(nn.Module):
    """Strided convolutions over a face: one map per scale."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        stages = []
        n_in = 3
        for scale, (width, blocks) in enumerate(zip(config.widths, config.encoder_blocks, strict=True)):
            residuals = (_Residual(width) for _ in range(blocks))
            stages.append(nn.Sequential(_conv(n_in, width, stride=2 if scale else 1), *residuals))
            n_in = width
        self.stages = nn.ModuleList(stages)

    def forward(self, faces: Tensor) -> list[Tensor]:
        """``(N, 3, S, S)`` in [-1, 1] -> maps ``(N, widths[i], S / 2^i, S / 2^i)``, finest first."""
        maps = []
        x = faces
        for encode in self.stages:
            x = encode(x)
            maps.append(x)
        return maps


class AudioEncoder(nn.Module):
    """Strided convolutions over a window of log-mel, down to 10 x 2, then one linear map of all that is left: where in
    frequency and time something was heard is kept."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for scale, width in enumerate(config.audio_widths):
            layers.append(_conv(n_in, width, stride=2 if scale else 1))
            layers += [_Residual(width, normalised=False) for _ in range(config.audio_blocks)]
            n_in = width
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(n_in * (BANDS // 8) * (COLUMNS // 8), config.audio_dim)

    def forward(self, windows: Tensor) -> Tensor:
        """``(N, 1, 80, 16)`` in [-1, 1] -> ``(N, audio_dim)``."""
        return F.leaky_relu(self.project(self.convolutions(windows).flatten(1)), SLOPE)


class _DecoderScale(nn.Module):
    """Join what comes from below with the encoders' maps of this size, then let the sound change it."""

    def __init__(self, n_in: int, width: int, blocks: int, audio_dim: int) -> None:
        super().__init__()
        self.join = _conv(n_in, width)
        self.blocks = nn.ModuleList(_HeardResidual(width, audio_dim) for _ in range(blocks))

    def forward(self, maps: list[Tensor], sound: Tensor) -> Tensor:
        x: Tensor = self.join(torch.cat(maps, dim=1))
        for block in self.blocks:
            x = block(x, sound)
        return x


class FaceDecoder(nn.Module):
    """From the coarsest maps of both encoders back to a face."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths, scales = config.widths, len(config.widths)
        self.identity_from = scales - config.identity_scales  # the finest scale at which identity is seen
        # narrowed before they are enlarged, at a quarter of the pixels
        self.narrow = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in range(scales - 1))
        sources = [1 + (i < scales - 1) + (i >= self.identity_from) for i in range(scales)]  # pose, below, identity
        self.scales = nn.ModuleList(
            _DecoderScale(n * width, width, blocks, config.audio_dim)
            for n, width, blocks in zip(sources, widths, config.decoder_blocks, strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4 if config.hidden == "identity" else 3, 3, padding=1)

    def forward(self, pose: list[Tensor], identity: list[Tensor], sound: Tensor) -> Tensor:
        """Maps of both encoders, finest first, and ``(N, audio_dim)`` -> ``(N, 3 or 4, S, S)``, not yet squashed: RGB,
        and what is kept of the identity reference."""
        x = pose[-1]
        for i in reversed(range(len(pose))):
            maps = [pose[i]]
            if i < len(pose) - 1:
                maps.append(F.interpolate(self.narrow[i](x), scale_factor=2, mode="nearest"))
            if i >= self.identity_from:
                maps.append(identity[i])
            x = self.scales[i](maps, sound)
        face: Tensor = self.head(x)
        return face


# ---- the whole ----------------------------------------------------------------------------------------------------


class Generator(nn.Module):
    """The paper's generator. Training and evaluation mode are the same: nothing in it depends on the batch.

    :param config: by default :meth:`GeneratorConfig.mini`.
    :param seed: of the random weights; the same seed gives the same weights and leaves PyTorch's own state alone.
    """

    audio_start = -2  # the middle of the audio window lies on the middle of the frame
    mouth_row: float | None = 0.66  # in its training clips 0.65 to 0.69 (benchmarks/mouth_row.py)

    def __init__(self, config: GeneratorConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        self.config = config or GeneratorConfig.mini()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.identity_encoder = FaceEncoder(self.config)
            self.pose_encoder = FaceEncoder(self.config)
            self.audio_encoder = AudioEncoder(self.config)
            self.decoder = FaceDecoder(self.config)
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight, SLOPE)  # the trunk has no norm: it must keep its scale
                    nn.init.zeros_(cast(Tensor, module.bias))
            # the first change is nearly none
            nn.init.normal_(self.decoder.head.weight, std=0.02 / (9 * self.config.widths[0]) ** 0.5)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    @property
    def image_size(self) -> int:
        """Side ``S`` of the faces."""
        return self.config.image_size

    @staticmethod
    def boxes(track: FaceTrack) -> NDArray[np.float64]:
        """Where its squares lie in the frames: :func:`tfg.crops.generator_boxes`."""
        return generator_boxes(track)

    def forward(self, audio: Tensor, identity_reference: Tensor, pose_reference: Tensor) -> Tensor:
        """Draw faces.

        :param audio: ``(N, 1, 80, 16)``, :func:`tfg.generator_inputs.mel_windows` with ``start=audio_start``.
        :param identity_reference: ``(N, 3, S, S)`` RGB in [0, 1]: the face at another moment.
        :param pose_reference: ``(N, 3, S, S)`` RGB in [0, 1]: the face to be changed. Its lower half is masked here:
            whatever it holds has no influence.
        :returns: ``(N, 3, S, S)`` RGB in [0, 1], the whole face.
        :raises FeatureError: wrong shapes.
        """
        check_generator_inputs(audio, identity_reference, pose_reference, self.image_size)
        weight = self.decoder.head.weight
        sound = self.audio_encoder(audio.to(weight) / MEL_RANGE)
        shown = mask_lower_half(pose_reference).to(weight)
        pose = self.pose_encoder(_centred(shown))
        identity = self.identity_encoder(_centred(identity_reference.to(weight)))
        drawn = self.decoder(pose, identity, sound)
        # single precision at least: in bfloat16 the sigmoid's output has fewer levels than a pixel
        drawn = drawn.to(torch.promote_types(drawn.dtype, torch.float32))
        face = torch.sigmoid(drawn[:, :3] + mask_lower_half(torch.logit(shown.to(drawn), BLACKEST)))
        if self.config.hidden == "identity":
            face = torch.lerp(face, identity_reference.to(face), share_kept(drawn))
        return face


def share_kept(drawn: Tensor) -> Tensor:
    """How much of the identity reference is kept where: none in the upper half, which is the pose reference.

    :param drawn: ``(N, 4, S, S)``, what the decoder returns with ``hidden="identity"``.
    :returns: ``(N, 1, S, S)`` in [0, 1].
    """
    kept = torch.sigmoid(KEPT - drawn[:, 3:])
    return kept - mask_lower_half(kept)


def _centred(faces: Tensor) -> Tensor:
    return (2 * faces - 1).contiguous(memory_format=torch.channels_last)


def load_generator(name_or_path: str | Path, device: str = "cpu") -> Generator | Wav2LipGenerator:
    """Load a generator, ready to draw: evaluation mode, no gradient to its weights.

    :param name_or_path: a file that ``tfg.experts.save_weights`` wrote with ``kind="generator"`` and the
        configuration in its card, the released Wav2Lip weights (``.pth``), a folder that holds exactly one of these,
        or a name of ``tfg weights list``.
    :param device: of torch, such as ``"cpu"``, ``"cuda"``, ``"mps"``.
    :raises WeightsError: an unknown name, or weights that are not there.
    :raises CheckpointError: the file cannot be read, or is not of a generator.
    :raises FeatureError: no such device.
    """
    path, _ = find_weights(name_or_path)
    checkpoint = read_checkpoint(path)
    where = torch_device(device)
    if checkpoint.kind == "wav2lip":
        released = Wav2LipGenerator()
        released.load_official(checkpoint.state_dict)
        return released.to(where).eval().requires_grad_(False)
    if checkpoint.kind != "generator":
        raise CheckpointError(
            f"{path}: these are weights of {checkpoint.kind}, which draws no faces; expected a generator of this "
            "package or Wav2Lip's"
        )
    generator = Generator(_config(checkpoint))
    load_strict(generator, checkpoint.state_dict, f"the generator of {generator.image_size} px that its card describes")
    return generator.to(where).eval().requires_grad_(False)


def _config(checkpoint: Checkpoint) -> GeneratorConfig:
    """The configuration in a checkpoint's card; json has lists where the dataclass has tuples."""
    expected = sorted(field.name for field in fields(GeneratorConfig))
    found = checkpoint.card.get("config", {})
    if sorted(found) != expected:
        raise CheckpointError(
            f"{checkpoint.source}: the card's config has the keys {sorted(found)}; expected {expected}, as "
            "dataclasses.asdict(generator.config) gives them"
        )
    sizes: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
    return GeneratorConfig(**sizes)
