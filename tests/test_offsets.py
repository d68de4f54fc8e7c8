"""Delays: curves over clips, how often a delay is found, how much of it a score puts up with, the standard's limits."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_experts as tiny

from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.stability import offsets
from tfg.stress import sweep


def test_curves_are_the_sweeps_of_each_clip() -> None:
    hubert, syncnet = AVHubertExpert(tiny.hubert(), "h"), SyncNetExpert(tiny.syncnet(), "s")
    talks = [(tiny.clip(40, seed=seed), tiny.track(0, 40)) for seed in (0, 1)]
    found = offsets.delay_curves(talks, hubert, syncnet, (-2, 0, 3))
    assert set(found) == set(offsets.SCORES)
    one = sweep(talks[1][0], "offset", (-2, 0, 3), [hubert, syncnet], track=talks[1][1])
    np.testing.assert_allclose(found["avs_u"][1], one.figure("h", "avs_u"))
    np.testing.assert_allclose(found["lse_d"][1], one.figure("s", "lse_d"))
    np.testing.assert_allclose(found["offset_lse"][1], one.figure("s", "offset"))


def test_accuracy_knows_that_offset_and_delay_have_opposite_signs() -> None:
    delays = (-12, -2, 0, 5)
    right = -np.array([delays, delays], float)
    assert offsets.offset_accuracy(delays, right) == (1, 1, 0)
    assert offsets.offset_accuracy(delays, -right).exact == pytest.approx(1 / 3)
    assert offsets.offset_accuracy(delays, right + 1) == (0, 1, 1)
    wrong_at_the_end = right.copy()
    wrong_at_the_end[:, 0] += 9
    assert offsets.offset_accuracy(delays, wrong_at_the_end).exact == 1, "beyond reach does not count"
    with pytest.raises(MetricError, match=r"expected \(clips, 4\)"):
        offsets.offset_accuracy(delays, right[:, :3])
    with pytest.raises(MetricError, match="within 1 frames"):
        offsets.offset_accuracy((5, 6), right[:, :2], reach=1)


def test_tolerance_interpolates_each_side_in_milliseconds() -> None:
    kept = np.array([0.0, 0.2, 0.8, 1.0, 0.6, 0.4])
    early, late = offsets.tolerance((-3, -2, -1, 0, 1, 2), kept)
    assert early == pytest.approx(-60)
    assert late == pytest.approx(60)
    assert offsets.tolerance((-1, 0, 1), np.ones(3)) == (-np.inf, np.inf)
    with pytest.raises(MetricError, match="with 0 among them"):
        offsets.tolerance((1, 2, 3), np.ones(3))


def test_the_standards_limits_have_our_sign_early_is_negative() -> None:
    """ITU-R BT.1359-1: detectable at +45 to -125 ms, acceptable +90 to -185 ms, its plus being early sound."""
    assert offsets.DETECTABLE_MS == (-45, 125)
    assert offsets.ACCEPTABLE_MS == (-90, 185)
