"""Generated faces put into a clip: the shortcut to an expert's crop equals pasting and cropping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_experts import track
from torch import Tensor

import tfg
from tfg.clip import Clip
from tfg.crops import face_crops, generator_boxes
from tfg.datasets import studio
from tfg.losses import Insertion, paste_faces
from tfg.warps import warp_frames_torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@settings(max_examples=15, deadline=None)
@given(
    left=st.floats(-25, 50), top=st.floats(-25, 40), width=st.floats(4, 70), height=st.floats(4, 60),
    angle=st.floats(-0.6, 0.6), scale=st.floats(0.4, 2.5), grey=st.booleans(), outside=st.sampled_from([0.0, 0.43]),
)  # fmt: skip
def test_insertion_equals_pasting_and_cropping(left, top, width, height, angle, scale, grey, outside) -> None:  # type: ignore[no-untyped-def]
    """Any box (beyond the frame too), any alignment: the shortcut gives the crop of the composed frame."""
    random = np.random.default_rng(0)
    video = Clip(random.integers(0, 256, (2, 40, 52, 3), dtype=np.uint8), np.zeros(1280, np.float32))
    boxes = np.array([(left, top, left + width, top + height)] * 2)
    turn = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    transforms = np.concatenate([turn, [[16.0], [16.0]] - turn @ [[26.0], [20.0]]], axis=1)[None].repeat(2, 0)
    one = torch.zeros((), dtype=torch.float64)
    insertion, whole = Insertion.of(video, track(0, 2), boxes, transforms, 32, one, grey, outside)
    new = torch.rand(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    frames = torch.from_numpy(video.frames).permute(0, 3, 1, 2).double() / 255
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)

    def crop(images: Tensor) -> Tensor:
        images = (images * weights[:, None, None]).sum(1, keepdim=True) if grey else images
        return warp_frames_torch(images - outside, torch.from_numpy(transforms), 32) + outside

    expected = crop(paste_faces(frames, new, torch.from_numpy(boxes)))
    found = insertion.insert((new * weights[:, None, None]).sum(1, keepdim=True) if grey else new)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(whole, crop(frames), rtol=0, atol=1e-12)
    upstream = torch.rand_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, new, upstream), torch.autograd.grad(expected, new, upstream), rtol=0, atol=1e-9
    )


def test_pasting_what_was_cropped_changes_little() -> None:
    """The generator's square and the box it is pasted into are the same place."""
    video = studio.read("ada-boat").trim(0, 3)
    face = tfg.track_face(video)
    cut = torch.from_numpy(face_crops(video, face, generator_boxes(face), 128)).permute(0, 3, 1, 2).double() / 255
    frames = torch.from_numpy(video.frames).permute(0, 3, 1, 2).double() / 255
    pasted = paste_faces(frames, cut, torch.from_numpy(generator_boxes(face)))
    assert float((pasted - frames).abs().mean()) < 0.004  # one grey level
    shifted = paste_faces(frames, cut, torch.from_numpy(generator_boxes(face)) + torch.tensor([2, 0, 2, 0]))
    assert float((shifted - frames).abs().mean()) > 2 * float((pasted - frames).abs().mean())
