"""Layers: every layer is the one that the expert would give, a shifted crop is really shifted, the choice is by d'."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_experts as tiny

from tfg.errors import MetricError
from tfg.experts.expert import AVHubertExpert
from tfg.stability import layers

FRAMES = 40


@pytest.fixture(scope="module")
def hubert() -> AVHubertExpert:
    return AVHubertExpert(tiny.hubert(), "tiny")


@pytest.fixture(scope="module")
def inputs(hubert: AVHubertExpert) -> layers.Inputs:
    return hubert.inputs(tiny.clip(FRAMES), tiny.track(0, FRAMES))


def test_each_layer_is_what_an_expert_of_that_layer_gives(hubert: AVHubertExpert, inputs: layers.Inputs) -> None:
    found = layers.layer_features(hubert, *inputs)
    assert list(found) == layers.layer_names(hubert) == ["front ends", "1", "2", "last + norm"]
    for name, layer in (("1", 1), ("2", 2), ("last + norm", None)):
        other = AVHubertExpert(tiny.hubert(), "tiny", layer)
        np.testing.assert_allclose(found[name][0], other.encode(audio=inputs[0]), atol=1e-5)
        np.testing.assert_allclose(found[name][1], other.encode(mouth=inputs[1]), atol=1e-5)


def test_layers_are_compared_at_every_shift(hubert: AVHubertExpert, inputs: layers.Inputs) -> None:
    found = layers.compare_layers(hubert, [inputs], (0.0, 16.0))
    assert list(found) == layers.layer_names(hubert)
    for row in found.values():
        assert row["auc_shifted"][0] == row["auc"]
        assert 0 <= row["auc"] <= 1
    assert any(row["auc_shifted"][1] != row["auc"] for row in found.values())
    with pytest.raises(MetricError, match="0 as the first shift"):
        layers.compare_layers(hubert, [inputs], (8.0,))
    with pytest.raises(MetricError, match="0 clips"):
        layers.compare_layers(hubert, [])


def test_the_best_layer_has_the_largest_mean_d_prime_over_validation_sets() -> None:
    sets = [{"1": {"d_prime": 4.0}, "2": {"d_prime": 3.0}}, {"1": {"d_prime": 1.0}, "2": {"d_prime": 2.5}}]
    assert layers.best_layer(sets) == "2"
    assert layers.best_layer(sets[:1]) == "1"
    with pytest.raises(MetricError, match="no validation sets"):
        layers.best_layer([])
