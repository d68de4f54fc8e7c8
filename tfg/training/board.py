"""TensorBoard: a run's curves, pictures and short films. ``tensorboard --logdir RUN`` shows them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from tfg.clip import Frames

_FRAME_MS = 40


class Board:
    """The events of one run.

    :param folder: of the run.
    :param first: the last step that the run goes on from; what was written for later ones before an interruption is
        hidden.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._writer = SummaryWriter(str(folder / "board"), purge_step=first + 1)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def pictures(self, name: str, frames: Frames, step: int) -> None:
        """``uint8 (T, H, W, 3)``: every fifth frame side by side, and all of them as a silent film (an animated GIF,
        which TensorBoard plays)."""
        still = frames[::5].transpose(1, 0, 2, 3).reshape(frames.shape[1], -1, 3)
        self._writer.add_image(name, still, step, dataformats="HWC")
        first, *others = [Image.fromarray(frame) for frame in frames]
        file = io.BytesIO()
        first.save(file, "GIF", save_all=True, append_images=others, duration=_FRAME_MS, loop=0)
        height, width = frames.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file.getvalue())
        summary = Summary(value=[Summary.Value(tag=f"{name} (film)", image=image)])
        self._writer._get_file_writer().add_summary(summary, step)  # add_video would need another package
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
