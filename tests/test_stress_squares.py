"""Spoiled mouths: only the lower half changes, and as it is said to."""

from __future__ import annotations

import pytest
import torch

from tfg.errors import StressError
from tfg.stress.squares import blur_mouths, freeze_mouths


def faces() -> torch.Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_blur_leaves_the_upper_half_and_less_detail_below() -> None:
    given = faces()
    blurred = blur_mouths(given, 4)
    torch.testing.assert_close(blurred[:, :, :8], given[:, :, :8], rtol=0, atol=0)
    assert float(blurred[:, :, 8:].diff(dim=3).abs().mean()) < 0.3 * float(given[:, :, 8:].diff(dim=3).abs().mean())
    torch.testing.assert_close(blur_mouths(given, 16), given)
    with pytest.raises(StressError, match="expected 2 to 16"):
        blur_mouths(given, 17)


def test_frozen_mouths_are_one_frame_s_and_the_rest_is_their_own() -> None:
    given = faces()
    frozen = freeze_mouths(given, 2)
    assert bool((frozen[:, :, 8:] == given[2, :, 8:]).all())
    torch.testing.assert_close(frozen[:, :, :8], given[:, :, :8], rtol=0, atol=0)
