"""The released Wav2Lip generator, as a baseline beside ours: same inputs, same call.

Source: Prajwal, Mukhopadhyay, Namboodiri, Jawahar, *A Lip Sync Expert Is All You Need for Speech to Lip Generation In
The Wild* (ACM MM 2020). Stages, strides and widths were written down from the released model's description; how many
residual blocks follow each stage is fixed by its 36,298,035 parameters, and the released state-dict names bear it out.

Its audio window begins with the frame it draws (``audio_start`` 0), as the released inference does, although it was
trained with windows that begin one frame earlier.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tfg.crops import wav2lip_boxes
from tfg.experts.checkpoints import load_strict
from tfg.experts.lip_expert import FACE_SIZE, Block, stage
from tfg.faces import FaceTrack
from tfg.generator_inputs import check_generator_inputs, mask_lower_half


class _Enlarge(nn.Module):
    """Transposed convolution, batch norm, ReLU. Three taps with a stride of two: neighbouring pixels are the sum of
    1, 2 or 4 taps, which shows as a checkerboard; :class:`tfg.generator.Generator` avoids it."""

    def __init__(self, n_in: int, n_out: int, stride: int = 2, padding: int = 1) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d(n_in, n_out, 3, stride, padding, output_padding=stride - 1)
        self.conv_block = nn.Sequential(transposed, nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv_block(x))


def _enlarge(n_in: int, n_out: int, residuals: int = 2) -> nn.Sequential:
    return nn.Sequential(_Enlarge(n_in, n_out), *(Block(n_out, n_out, residual=True) for _ in range(residuals)))


class Wav2LipGenerator(nn.Module):
    """Wav2Lip's generator: 96-pixel faces, 36,298,035 parameters, released names.

    Takes and gives RGB like every generator here; the released network works on blue, green, red, and is converted to
    and from inside.
    """

    image_size = FACE_SIZE
    audio_start = 0
    mouth_row: float | None = None  # its boxes end at the chin

    @staticmethod
    def boxes(track: FaceTrack) -> NDArray[np.float64]:
        """Where its squares lie in the frames: :func:`tfg.crops.wav2lip_boxes`, which it was trained on."""
        return wav2lip_boxes(track)

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList(
            [
                nn.Sequential(Block(6, 16, 7, padding=3)),  # 96 x 96
                nn.Sequential(*stage(16, 32, 2, 2)),
                nn.Sequential(*stage(32, 64, 2, 3)),
                nn.Sequential(*stage(64, 128, 2, 2)),
                nn.Sequential(*stage(128, 256, 2, 2)),
                nn.Sequential(*stage(256, 512, 2, 1)),  # 3 x 3
                nn.Sequential(Block(512, 512, padding=0), Block(512, 512, 1, padding=0)),  # 1 x 1
            ]
        )
        self.audio_encoder = nn.Sequential(
            *stage(1, 32, 1, 2),
            *stage(32, 64, (3, 1), 2),
            *stage(64, 128, 3, 2),
            *stage(128, 256, (3, 2), 1),
            Block(256, 512, padding=0),
            Block(512, 512, 1, padding=0),
        )
        self.face_decoder_blocks = nn.ModuleList(  # before each but the first, the encoder's map of that size joins
            [
                nn.Sequential(Block(512, 512, 1, padding=0)),
                nn.Sequential(_Enlarge(1024, 512, stride=1, padding=0), Block(512, 512, residual=True)),  # 3 x 3
                _enlarge(1024, 512),
                _enlarge(512 + 256, 384),
                _enlarge(384 + 128, 256),
                _enlarge(256 + 64, 128),
                _enlarge(128 + 32, 64),  # 96 x 96
            ]
        )
        self.output_block = nn.Sequential(Block(64 + 16, 32), nn.Conv2d(32, 3, 1), nn.Sigmoid())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def forward(self, audio: Tensor, identity_reference: Tensor, pose_reference: Tensor) -> Tensor:
        """Draw faces.

        :param audio: ``(N, 1, 80, 16)``, :func:`tfg.generator_inputs.mel_windows`.
        :param identity_reference: ``(N, 3, 96, 96)`` RGB in [0, 1].
        :param pose_reference: ``(N, 3, 96, 96)`` RGB in [0, 1]; the lower half is masked here.
        :returns: ``(N, 3, 96, 96)`` RGB in [0, 1].
        :raises FeatureError: wrong shapes.
        """
        check_generator_inputs(audio, identity_reference, pose_reference, self.image_size)
        weight = next(self.output_block.parameters())
        bgr = [face.to(weight).flip(1) for face in (mask_lower_half(pose_reference), identity_reference)]
        x = torch.cat(bgr, dim=1).contiguous(memory_format=torch.channels_last)
        maps = []
        for encode in self.face_encoder_blocks:
            x = encode(x)
            maps.append(x)
        x = self.audio_encoder(audio.to(weight))
        for decode in self.face_decoder_blocks:
            x = torch.cat([decode(x), maps.pop()], dim=1)
        face: Tensor = self.output_block(x)
        return face.flip(1)

    def load_official(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load weights under the released names; a ``module.`` prefix is dropped.

        :raises CheckpointError: any name or shape differs; nothing is loaded then.
        """
        state = {key.removeprefix("module."): value for key, value in state_dict.items()}
        load_strict(self, state, "Wav2Lip's generator (96 px)")
