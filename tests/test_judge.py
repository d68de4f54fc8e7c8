"""The expert as judge: scores under a shift equal the metrics, chance is that of other lips, figures show the data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_experts as tiny

import tfg
from tfg import metrics, results
from tfg.crops import mouth_crops
from tfg.errors import DataError
from tfg.experts.expert import AVHubertExpert, SyncNetExpert
from tfg.metrics.report import TELLS
from tfg.plots import judge as figures
from tfg.stability.layers import best_layer
from tfg.stability.offsets import ACCEPTABLE_MS, DETECTABLE_MS
from tfg.stress import perturb
from tfg.studies import judge
from tfg.studies.setup import Talk

RESULTS = Path(__file__).resolve().parent.parent / "book" / "results"
FRAMES = 40


@pytest.fixture(scope="module")
def experts() -> tuple[AVHubertExpert, SyncNetExpert]:
    return AVHubertExpert(tiny.hubert(), "tiny-hubert"), SyncNetExpert(tiny.syncnet(), "tiny-syncnet")


@pytest.fixture(scope="module")
def talks() -> list[Talk]:
    return [Talk(f"noise{seed}", tiny.clip(FRAMES, seed), tiny.track(0, FRAMES)) for seed in (0, 1)]


def test_scores_under_a_shift_are_the_metrics_on_the_shifted_clip(experts: tuple, talks: list[Talk]) -> None:
    hubert, syncnet = experts
    talk = talks[0]
    found = judge.scores_under(talk, "shift_x", (0, 8), hubert, syncnet)
    changed = perturb(talk.clip, "shift_x", 8, talk.track)
    sound, lips = hubert.inputs(talk.clip, talk.track)[0], mouth_crops(changed, talk.track)
    heard, seen = hubert.encode(sound), hubert.encode(mouth=lips)
    assert found["avs_u"][1] == pytest.approx(metrics.avs_u(heard, seen))
    real = hubert.inputs(talk.clip, talk.track)[1]
    assert found["avs_v"][1] == pytest.approx(metrics.avs_v(seen, hubert.encode(mouth=real)))
    assert found["avs_m"][1] == pytest.approx(metrics.avs_m(hubert.encode(sound, lips), hubert.encode(sound, real)))
    assert found["lse_d"][1] == pytest.approx(metrics.lse_unbiased(*syncnet.clip_embeddings(changed, talk.track)).lse_d)
    assert found["avs_m"][0] == pytest.approx(1, abs=1e-5)
    assert found["avs_v"][0] == pytest.approx(1, abs=1e-5)


def test_a_reference_of_another_length_is_compared_on_common_frames(experts: tuple, talks: list[Talk]) -> None:
    short = Talk("short", talks[0].clip.trim(0, 30), tiny.track(0, 30))
    late = Talk("late", talks[0].clip, tiny.track(4, FRAMES))
    found = judge.scores_under(short, "shift_x", (0,), *experts, truth=late)
    assert found["avs_v"][0] == pytest.approx(1, abs=0.02), "the same frames, seen in another context"


def test_a_shift_out_of_the_frame_has_no_score(experts: tuple, talks: list[Talk]) -> None:
    edge = Talk("edge", talks[0].clip, tiny.track(0, FRAMES, at=108))
    found = judge.scores_under(edge, "shift_x", (0, 16), *experts)
    if np.isnan(found["avs_u"][0]):
        pytest.fail("the unshifted face is inside")
    assert all(np.isnan(found[key][1]) for key in judge.SCORES)


def test_wrong_words_have_the_lips_of_another_clip(experts: tuple, talks: list[Talk]) -> None:
    hubert, syncnet = experts
    found = judge.wrong_words(talks, hubert, syncnet)
    features = [hubert.clip_features(talk.clip, talk.track) for talk in talks]
    expected = np.mean([metrics.avs_u(features[0][0], features[1][1]), metrics.avs_u(features[1][0], features[0][1])])
    assert found["avs_u"] == pytest.approx(expected)
    assert set(found) == set(judge.SCORES)
    with pytest.raises(DataError, match="at least two"):
        judge.wrong_words(talks[:1], hubert, syncnet)


def test_kept_is_1_at_the_neutral_value_whichever_way_is_better() -> None:
    up, down = np.array([[0.8, 0.5]]), np.array([[0.6, 0.9]])
    np.testing.assert_allclose(judge.kept(up, 0.2, 0), [1, 0.5])
    np.testing.assert_allclose(judge.kept(down, 1.2, 0), [1, 0.5])


def test_warnings_are_counted_by_case() -> None:
    heard, noise = np.random.default_rng(0).standard_normal((2, 3, 120, 16)).astype(np.float32)
    found = judge.warned([(a, a + 0.3 * n) for a, n in zip(heard, noise, strict=True)])
    assert list(found) == ["in sync", "2 frames late", "5 frames late", "8 frames late", "other lips"]
    assert found["in sync"]["share"] == 0
    assert found["8 frames late"]["share"] == found["other lips"]["share"] == 1


def test_figures_draw_every_curve_with_its_chance_level() -> None:
    values = (-8, 0, 8)
    scores = {key: np.random.default_rng(0).uniform(0.2, 0.9, (3, 3)) for key in judge.SCORES}
    chance = dict.fromkeys(judge.SCORES, 0.1)
    figure = figures.judge_under_shift(values, {"a": (scores, chance), "b": (scores, chance)}, "shift (%)")
    dotted = [sum(line.get_linestyle() == ":" and len(line.get_xdata()) > 0 for line in ax.lines) for ax in figure.axes]
    assert sorted(dotted) == [1, 1, 2, 2, 3, 3]
    figure = figures.scores_by_delay((-1, 0, 1), {"a": (scores, chance)})
    assert [ax.lines[1].get_ydata()[0] for ax in figure.axes] == [
        pytest.approx(scores[key].mean(axis=0)[0]) for key in ("avs_u", "lse_c", "lse_d")
    ]
    spans = [patch.get_x() for patch in figure.axes[0].patches]
    assert spans[:2] == [ACCEPTABLE_MS[0], DETECTABLE_MS[0]]
    methods = {"real": scores, "other": scores}
    assert len(figures.generated_under_shift(values, methods, chance, "shift (%)").axes) == 5


def test_offsets_and_warnings_are_drawn_for_every_clip() -> None:
    clips = [{"offset_avs": -3, "offset_lse": -2}, {"offset_avs": 0, "offset_lse": 1}]
    figure = figures.offsets_found({"real": clips})
    dots = figure.axes[0].lines[1]
    np.testing.assert_allclose(dots.get_xdata(), [120, 0])
    np.testing.assert_allclose(dots.get_ydata(), [80, -40])
    case = {"share": 0.25, "median": 0.7, "lowest": 0.5, "highest": 0.9}
    figure = figures.warning_rates({"a": {"in sync": case, "late": case}}, 0.64)
    assert [text.get_text() for text in figure.axes[0].texts].count("25%") == 2


# the committed result files


@pytest.mark.parametrize("name", ["fig5_judge", "offsets", "layers", "doubt", "adthqa_stress"])
def test_a_result_file_is_complete(name: str) -> None:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there: make results")
    results.read(path)


def test_what_the_page_recomputes_equals_the_result_files() -> None:
    paths = [RESULTS / f"{name}.json" for name in ("layers", "doubt")]
    if not all(path.is_file() for path in paths):
        pytest.skip("the result files are not there: make results")
    layers, doubt = (results.read(path)["figures"] for path in paths)
    assert layers["chosen"] == best_layer([layers[part] for part in judge.VALIDATION])
    assert doubt["threshold"] == TELLS
    weights = results.read(paths[0])["provenance"]["weights"]
    card = json.loads((Path(tfg.__file__).parent / "assets" / "weights" / "avhubert-mini.json").read_text())
    assert weights["avhubert-mini"] == card["sha256"], "made with other weights than those in the package: make results"
