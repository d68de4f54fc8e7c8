"""Checkpoints: released layouts are read, nothing in a file is ever executed, and what is refused is named."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tfg.errors import CheckpointError, UnsafeCheckpointError
from tfg.experts import architecture
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.checkpoints import convert, file_sha256, read_checkpoint, save_weights
from tfg.experts.lip_expert import LipExpert
from tfg.experts.syncnet import SyncNet, SyncNetConfig


@pytest.fixture(scope="module")
def syncnet_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return SyncNet(SyncNetConfig.mini()).state_dict()


@pytest.fixture(scope="module")
def hubert_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return AVHubert(AVHubertConfig.mini()).state_dict()


def _foreign(monkeypatch: pytest.MonkeyPatch, dotted: str) -> type:
    """A class that pickles under a name of fairseq, from modules that exist only while a file is written."""
    module, _, name = dotted.rpartition(".")
    parts = module.split(".")
    for i in range(len(parts)):
        package = ".".join(parts[: i + 1])
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    made = type(name, (), {"__module__": module})
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


@pytest.fixture
def fairseq_checkpoint(tmp_path: Path, hubert_state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layout of a released AV-HuBERT file: cfg, model, fairseq objects, numpy scalars, optimiser state."""
    with monkeypatch.context() as patch:
        dictionary = _foreign(patch, "fairseq.data.dictionary.Dictionary")()
        dictionary.symbols = ["<s>", "<pad>"]
        tokenizer = _foreign(patch, "fairseq.data.encoders.sentencepiece_bpe.SentencepieceBPE")()
        tokenizer.model = _foreign(patch, "sentencepiece.SentencePieceProcessor")()
        path = tmp_path / "base_vox_iter5.pt"
        content = {
            "args": None,
            "cfg": {"model": {"_name": "av_hubert", "layers": [1, 2], "lr": (0.002,)}, "seed": 1337},
            "model": OrderedDict(hubert_state),
            "optimizer_history": [{"num_updates": 3, "best_loss": np.float64(2.5)}],
            "task_state": {"dictionaries": [dictionary], "tokenizer": tokenizer},
            "last_optimizer_state": {"exp_avg": torch.zeros(10)},
        }
        torch.save(content, path)
    return path


def test_fairseq_checkpoint_is_read_without_fairseq(
    fairseq_checkpoint: Path, hubert_state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fairseq", "sentencepiece"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would raise
    read = read_checkpoint(fairseq_checkpoint)
    assert (read.kind, read.variant, read.size) == ("avhubert", "pretrain", "mini")
    assert read.config == {"model": {"_name": "av_hubert", "layers": [1, 2], "lr": [0.002]}, "seed": 1337}
    assert read.sha256 == file_sha256(fairseq_checkpoint)
    assert read.state_dict.keys() == hubert_state.keys()
    assert all(torch.equal(read.state_dict[key], value) for key, value in hubert_state.items())


def test_namespace_of_old_fairseq_becomes_the_config(tmp_path: Path, hubert_state: dict[str, Tensor]) -> None:
    path = tmp_path / "old.pt"
    torch.save({"args": argparse.Namespace(arch="av_hubert", layers=4), "model": hubert_state}, path)
    assert read_checkpoint(path).config == {"arch": "av_hubert", "layers": 4}


@pytest.mark.parametrize(
    ("prefix", "variant"), [("encoder.w2v_model.", "seq2seq"), ("w2v_encoder.w2v_model.", "ctc"), ("", "pretrain")]
)
def test_fine_tuned_av_hubert_is_recognised(hubert_state: dict[str, Tensor], prefix: str, variant: str) -> None:
    found = architecture.recognise({prefix + key: value for key, value in hubert_state.items()})
    assert found == architecture.Architecture("avhubert", variant, "mini")


@pytest.mark.parametrize("size", ["base", "large"])
def test_released_av_hubert_sizes_are_told_apart(size: str) -> None:
    with torch.device("meta"):
        state = AVHubert(getattr(AVHubertConfig, size)()).state_dict()
    assert architecture.recognise(state) == architecture.Architecture("avhubert", "pretrain", size)


def test_syncnet_lip_expert_and_generator_are_recognised() -> None:
    with torch.device("meta"):
        assert architecture.recognise(SyncNet().state_dict()) == architecture.Architecture("syncnet", size="v2")
        mini = SyncNet(SyncNetConfig.mini()).state_dict()
        assert architecture.recognise(mini) == architecture.Architecture("syncnet", size="mini")
        assert architecture.recognise(LipExpert().state_dict()) == architecture.Architecture("lip_expert")
        generator = {"face_decoder_blocks.0.0.conv_block.0.weight": torch.zeros(512, 512, 1, 1)}
        assert architecture.recognise(generator) == architecture.Architecture("wav2lip")


@pytest.mark.parametrize("new_format", [True, False])
def test_flat_syncnet_file_is_read_in_both_formats_of_torch(
    tmp_path: Path, syncnet_state: dict[str, Tensor], new_format: bool
) -> None:
    path = tmp_path / "syncnet_v2.model"
    torch.save(syncnet_state, path, _use_new_zipfile_serialization=new_format)
    read = read_checkpoint(path, expect="syncnet")
    assert (read.kind, read.size, read.config) == ("syncnet", "mini", {})
    SyncNet(SyncNetConfig.mini()).load_official(read.state_dict)


def test_wav2lip_wrapper_and_module_prefix_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "lipsync_expert.pth"
    state = {f"module.{key}": value for key, value in LipExpert().state_dict().items()}
    torch.save({"state_dict": state, "optimizer": {"state": {}}, "global_step": 7, "global_epoch": 1}, path)
    read = read_checkpoint(path)
    assert read.kind == "lip_expert"
    LipExpert().load_official(read.state_dict)


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("new_format", [True, False])
def test_file_that_would_run_a_command_is_refused_by_name(
    tmp_path: Path, syncnet_state: dict[str, Tensor], new_format: bool
) -> None:
    path, marker = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({**syncnet_state, "x": _Bomb(marker)}, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(UnsafeCheckpointError, match=rf"evil\.pth is refused.*{os.system.__module__}\.system"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_bare_pickle_that_would_run_a_command_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    path, marker = tmp_path / "evil.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"state_dict": _Bomb(marker)}, protocol))
    with pytest.raises(UnsafeCheckpointError, match=rf"{os.system.__module__}\.system"):
        read_checkpoint(path)
    assert not marker.exists()


def test_pickled_module_is_refused_with_its_class(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(UnsafeCheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(path)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_torch_file_is_called_truncated(
    tmp_path: Path, syncnet_state: dict[str, Tensor], new_format: bool, kept: float
) -> None:
    path = tmp_path / "half.pth"
    torch.save(syncnet_state, path, _use_new_zipfile_serialization=new_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match=r"half\.pth is truncated"):
        read_checkpoint(path)


def test_truncated_safetensors_is_refused(tmp_path: Path, syncnet_state: dict[str, Tensor]) -> None:
    path = save_weights(syncnet_state, tmp_path / "x.safetensors", {"kind": "syncnet"})
    path.with_suffix(".json").unlink()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"hello", "starts with b'hello'"),
        (b"", "starts with b''"),
    ],
)
def test_what_is_not_a_checkpoint_is_said_to_be_something_else(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


def test_files_without_weights_or_of_unknown_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="holds a list; expected a dict of tensors"):
        read_checkpoint(path)
    torch.save({"epoch": 1, "best": 2.0}, path)
    with pytest.raises(CheckpointError, match="holds no tensors, only epoch, best"):
        read_checkpoint(path)
    torch.save({"encoder.weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"1 tensors \(encoder\.weight\) of an architecture that is not known"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_checkpoint(tmp_path / "absent.pt")


def test_another_kind_than_expected_is_refused(tmp_path: Path, syncnet_state: dict[str, Tensor]) -> None:
    path = save_weights(syncnet_state, tmp_path / "x.safetensors", {})
    with pytest.raises(CheckpointError, match="weights of syncnet; expected avhubert"):
        read_checkpoint(path, expect="avhubert")
    save_weights(syncnet_state, path, {"kind": "avhubert"})
    with pytest.raises(CheckpointError, match="the card says avhubert, the weights are those of syncnet"):
        read_checkpoint(path)


def test_weights_and_card_return_as_they_were_saved(tmp_path: Path, syncnet_state: dict[str, Tensor]) -> None:
    tied = torch.randn(3, 4)
    state = {**syncnet_state, "half": torch.ones(3, dtype=torch.float16), "a": tied, "b": tied.T}
    path = save_weights(state, tmp_path / "new" / "x.safetensors", {"kind": "syncnet", "config": {"image_size": 112}})
    read = read_checkpoint(path)
    assert read.config == {"image_size": 112}
    assert read.card["sha256"] == read.sha256 == file_sha256(path)
    assert read.card["bytes"] == path.stat().st_size
    assert all(torch.equal(read.state_dict[key], value) for key, value in state.items())
    assert read.state_dict["half"].dtype == torch.float16
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.json", "x.safetensors"]


def test_network_of_our_own_is_known_by_its_card(tmp_path: Path) -> None:
    path = save_weights({"w": torch.zeros(2)}, tmp_path / "g.safetensors", {"kind": "generator"})
    assert read_checkpoint(path).kind == "generator"


def test_weights_that_differ_from_their_card_are_refused(tmp_path: Path, syncnet_state: dict[str, Tensor]) -> None:
    path = save_weights(syncnet_state, tmp_path / "x.safetensors", {"kind": "syncnet"})
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**card, "sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match=r"its card x\.json was written for 000"):
        read_checkpoint(path)


def test_failed_write_leaves_the_old_file_alone(tmp_path: Path, syncnet_state: dict[str, Tensor]) -> None:
    path = save_weights(syncnet_state, tmp_path / "x.safetensors", {"kind": "syncnet"})
    before = file_sha256(path)
    with pytest.raises(CheckpointError, match="cannot be written as json"):
        save_weights({"w": torch.zeros(2)}, path, {"config": object()})
    assert file_sha256(path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.safetensors"]
    with pytest.raises(CheckpointError, match=r"ends in \.safetensors"):
        save_weights(syncnet_state, tmp_path / "x.pt", {})


def test_converted_checkpoint_holds_the_same_weights_and_names_its_origin(
    fairseq_checkpoint: Path, tmp_path: Path, hubert_state: dict[str, Tensor]
) -> None:
    out = convert(fairseq_checkpoint, tmp_path / "base.safetensors")
    read = read_checkpoint(out, expect="avhubert")
    assert all(torch.equal(read.state_dict[key], value) for key, value in hubert_state.items())
    assert (read.variant, read.size) == ("pretrain", "mini")
    assert read.config["seed"] == 1337
    assert read.card["converted_from"] == {"file": "base_vox_iter5.pt", "sha256": file_sha256(fairseq_checkpoint)}
