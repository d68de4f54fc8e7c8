"""The tfg command: tables, JSON, CSV, exit codes, and errors as one line."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_experts as tiny
import torch
from typer.testing import CliRunner

import tfg
from tfg.cli import app
from tfg.metrics import seen

run = CliRunner().invoke


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    hubert, sync = tiny.save(tmp_path_factory.mktemp("weights"))
    return ["--expert", str(hubert), "--syncnet", str(sync)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(("a", "b")):
        tfg.write_clip(tiny.clip(40, seed=i), folder / f"{name}.mp4")
    return folder


@pytest.fixture(autouse=True)
def _one_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "track_faces", lambda video: [tiny.track(0, video.n_frames)])
    monkeypatch.setenv("COLUMNS", "200")


def test_version() -> None:
    result = run(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.strip() == f"tfg {tfg.__version__}"


def test_importing_tfg_and_asking_for_help_do_not_wait_for_torch() -> None:
    code = (
        "import sys, tfg, tfg.cli; from typer.testing import CliRunner; "
        "r = CliRunner().invoke(tfg.cli.app, ['score', '--help']); assert r.exit_code == 0, r.output; "
        "assert not {'torch', 'cv2', 'scipy'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_resolves() -> None:
    for module in (tfg, tfg.metrics, tfg.experts):
        for name in module.__all__:
            assert getattr(module, name) is not None
            assert name in dir(module)
    with pytest.raises(AttributeError, match="no_such_name"):
        tfg.no_such_name  # noqa: B018


def test_score_prints_a_table_that_names_expert_protocol_and_delay(weights: list[str], clips: Path) -> None:
    result = run(app, ["score", str(clips / "a.mp4"), *weights])
    assert result.exit_code == 0, result.output
    for text in (
        "AVS_u",
        "LSE-D",
        "LSE-C",
        "avhubert-tiny",
        "syncnet-tiny",
        "sha256",
        "no search over delays",
        "chance",
    ):
        assert text in result.stdout
    assert "AVS_m" not in result.stdout


def test_score_with_reference_adds_the_supervised_metrics(weights: list[str], clips: Path) -> None:
    result = run(app, ["score", str(clips / "a.mp4"), "--reference", str(clips / "b.mp4"), *weights])
    assert result.exit_code == 0, result.output
    assert "AVS_m" in result.stdout
    assert "AVS_v" in result.stdout


def test_json_on_standard_output_is_json_alone(weights: list[str], clips: Path) -> None:
    result = run(app, ["score", str(clips / "a.mp4"), "--json", "-", *weights])
    found = json.loads(result.stdout)
    assert found["video"] == str(clips / "a.mp4")
    assert found["expert"]["name"] == "avhubert-tiny"
    assert "AVS_u" in result.stderr


def test_syncnet_none_leaves_lse_out(weights: list[str], clips: Path) -> None:
    result = run(app, ["score", str(clips / "a.mp4"), *weights[:2], "--syncnet", "none"])
    assert result.exit_code == 0, result.output
    assert "LSE" not in result.stdout


def test_a_folder_gives_a_row_per_clip_files_and_exit_code_1_when_one_failed(
    weights: list[str], clips: Path, tmp_path: Path
) -> None:
    for path in clips.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    out = ["--json", str(tmp_path / "out/scores.json"), "--csv", str(tmp_path / "out/scores.csv")]
    result = run(app, ["score", str(tmp_path), *out, *weights])
    assert result.exit_code == 1, result.output
    assert "mean of 2" in result.stdout
    assert f"failed: {tmp_path / 'broken.mp4'}" in result.stdout
    found = json.loads((tmp_path / "out/scores.json").read_text())
    assert len(found["clips"]) == 2
    assert len(found["failed"]) == 1
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/scores.csv").read_text())))
    assert [Path(row["video"]).name for row in rows] == ["a.mp4", "b.mp4"]
    assert float(rows[0]["avs_u"]) == found["clips"][0]["avs_u"]
    assert rows[0]["expert"] == "avhubert-tiny"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["score", "{clips}/a.mp4", "--reference", "{clips}"], "expected two videos or two folders"),
        (["score", "{clips}/a.mp4", "--expert", "nonsense"], "nonsense"),
        (["weights", "get", "nonsense"], "nonsense"),
        (["weights", "convert", "nowhere.pt"], "nowhere.pt"),
        (["train", "syncnet", "nonsense", "--data", "x", "--out", "y"], "nonsense"),
        (["prepare", "grid", "out", "--corpus", "nowhere"], "nowhere"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(app, [a.format(clips=clips) for a in arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_video_without_a_face_is_one_line(weights: list[str], clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    result = run(app, ["score", str(clips / "a.mp4"), *weights])
    assert result.exit_code == 2, result.output
    assert "a.mp4" in result.stderr


def test_prepare_grid_splits_the_training_talker_and_keeps_others_apart(grid_dir: Path, tmp_path: Path) -> None:
    for talker, count in (("s1", 2), ("s9", 1)):
        (tmp_path / "grid" / talker).mkdir(parents=True)
        for path in sorted((grid_dir / "s1").glob("*.mp4"))[:count]:
            (tmp_path / "grid" / talker / path.name).symlink_to(path)
    arguments = ["prepare", "grid", str(tmp_path / "out"), "--corpus", str(tmp_path / "grid"), "--workers", "1"]
    result = run(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("1 of 1 clips prepared") == 3
    for part in ("grid-s1-val", "grid-s1-train", "grid-unseen"):
        assert len(list((tmp_path / "out" / part).glob("*.npz"))) == 1


def test_weights_list_names_licences() -> None:
    result = run(app, ["weights", "list"])
    assert result.exit_code == 0
    assert "avhubert-mini" in result.stdout
    assert "non-commercial" in result.stdout


def test_weights_get_does_nothing_when_the_licence_is_declined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFG_CACHE", str(tmp_path))
    result = run(app, ["weights", "get", "avhubert-large"], input="n\n")
    assert result.exit_code == 2
    assert "non-commercial" in result.stderr
    assert "Do you accept" in result.stderr
    assert not list(tmp_path.rglob("*.pt"))


def test_weights_convert_writes_safetensors_that_load(tmp_path: Path) -> None:
    from tfg.experts.syncnet import SyncNet, SyncNetConfig

    torch.save(SyncNet(SyncNetConfig.mini()).state_dict(), tmp_path / "own.pth")
    result = run(app, ["weights", "convert", str(tmp_path / "own.pth")])
    assert result.exit_code == 0, result.output
    assert tfg.load_expert(tmp_path / "own.safetensors").name == "own"
    again = run(app, ["weights", "convert", str(tmp_path / "own.pth")])
    assert again.exit_code == 2
    assert "exists already" in again.stderr
