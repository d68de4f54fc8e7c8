"""The crowd: repeatable entries, training talkers and new ones, never a test talker; and it renders."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tfg.datasets import studio, studio_crowd
from tfg.errors import DataError


def test_entries_depend_on_seed_and_number_alone() -> None:
    assert studio_crowd.entry(7, 0) == studio_crowd.entry(7, 0)
    assert studio_crowd.entry(7, 0)[0] != studio_crowd.entry(7, 1)[0]
    texts = {studio_crowd.entry(i, 0)[0]["text"] for i in range(60)}
    assert len(texts) > 55


def test_test_talkers_never_appear() -> None:
    identities = studio.recipe()["identities"]
    held_out = {c["identity"] for c in studio.recipe()["clips"] if c["split"] == "test"}
    seen = [studio_crowd.entry(i, 0)[1].name for i in range(90)]
    assert not held_out & set(seen)
    known = [name for name in seen if name in identities]
    assert len(known) == 30
    assert len(set(seen) - set(identities)) == 60


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite speaks the sentences; it is not installed")
def test_a_clip_is_rendered_the_same_twice() -> None:
    first, second = studio_crowd.make(4), studio_crowd.make(4)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.audio, second.audio)
    assert 25 <= first.n_frames <= 150
    with pytest.raises(DataError, match="expected 0, 1, 2"):
        studio_crowd.make(-1)
