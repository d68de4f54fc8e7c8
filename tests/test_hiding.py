"""The comparison of what is hidden in training: same start, same clips, other masks; bad settings are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfg import results
from tfg.datasets.prepared import PreparedClip
from tfg.errors import TrainingError
from tfg.studies import hiding

RESULT = Path(__file__).resolve().parent.parent / "book" / "results" / "hiding.json"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[PreparedClip]:
    folder: Path = tmp_path_factory.mktemp("prepared")
    random = np.random.default_rng(0)
    for i in range(4):
        np.savez(
            folder / f"{i}.npz",
            mouth=random.integers(0, 256, (52, 96, 96), dtype=np.uint8),
            fbank=random.normal(size=(52, 104)).astype(np.float32),
            mfcc=random.normal(size=(207, 13)).astype(np.float32),
        )
    return [PreparedClip(folder / f"{i}.npz") for i in range(4)]


def test_settings_hide_what_they_say() -> None:
    nothing, whole, spans, both = (hiding.recipe(setting, 8, seed=3) for setting in hiding.SETTINGS)
    for recipe in (nothing, whole):
        assert recipe.audio_mask_prob == recipe.video_mask_prob == 0
    for recipe in (nothing, spans):
        assert recipe.modality_dropout == 0
    assert spans.audio_mask_prob == both.audio_mask_prob > 0
    assert whole.modality_dropout == both.modality_dropout > 0
    with pytest.raises(TrainingError, match=r"everything.*nothing hidden"):
        hiding.recipe("everything", 8, seed=0)


def test_runs_start_alike_and_can_be_repeated(clips: list[PreparedClip]) -> None:
    settings = ("nothing hidden", "spans")

    def run() -> dict[str, list[dict[str, float]]]:
        return hiding.compare(clips, clips[:2], settings=settings, n_clusters=5, batch_size=2, steps=2, every=1)

    curves = run()
    assert [point["step"] for point in curves["spans"]] == [0, 1, 2]
    start = [{k: v for k, v in curves[s][0].items() if k != "loss"} for s in settings]
    assert start[0] == start[1]
    assert curves["spans"][1]["loss"] != curves["nothing hidden"][1]["loss"]
    np.testing.assert_equal(run(), curves)


def test_the_committed_result_holds_what_the_page_says() -> None:
    curves = results.read(RESULT)["figures"]["curves"]
    assert list(curves) == list(hiding.SETTINGS)
    last = {setting: points[-1] for setting, points in curves.items()}
    assert {point["step"] for point in last.values()} == {400}
    nothing = last.pop("nothing hidden")
    assert nothing["loss"] < min(point["loss"] for point in last.values())
    assert nothing["auc_5"] + 0.1 < min(point["auc_5"] for point in last.values())
