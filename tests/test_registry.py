"""Weights by name: nothing is fetched unasked, a wrong file is not kept, a path works wherever a name does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from tfg.errors import WeightsError
from tfg.experts import registry
from tfg.experts.checkpoints import read_checkpoint
from tfg.experts.registry import Weights, find_weights, get_weights, list_weights
from tfg.experts.syncnet import SyncNet, SyncNetConfig


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("served") / "x.model"
    torch.save(SyncNet(SyncNetConfig.mini()).state_dict(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(payload: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/x.model"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(payload) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()


@pytest.fixture
def entry(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """A downloadable entry whose hash nobody vouches for, in an empty cache."""
    monkeypatch.setenv("TFG_CACHE", str(tmp_path / "cache"))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    made = dataclasses.replace(find_weights("syncnet-v2"), name="test-net", url=f"{server}/x.model", sha256=None)
    _register(monkeypatch, made)
    return made


def _register(monkeypatch: pytest.MonkeyPatch, made: Weights) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", (made,))


def test_every_entry_says_what_a_reader_must_know() -> None:
    names = [entry.name for entry in list_weights()]
    assert len(set(names)) == len(names)
    assert {"avhubert-mini", "syncnet-mini", "avhubert-base", "avhubert-large", "syncnet-v2", "wav2lip-expert"} <= {
        *names
    }
    for entry in list_weights():
        assert entry.licence
        assert entry.source
        assert entry.purpose
        assert entry.packaged + bool(entry.url) + bool(entry.by_hand) == 1
        assert entry.kind in ("avhubert", "syncnet", "lip_expert", "wav2lip", "inception", "generator")
        if entry.url and entry.kind == "avhubert":
            assert "non-commercial" in entry.describe()
            assert entry.sha256 is None
            assert "not verified by us" in entry.describe()


def test_packaged_weights_lie_inside_the_package() -> None:
    path = find_weights("syncnet-mini").path
    assert path.parts[-4:] == ("tfg", "assets", "weights", "syncnet-mini.safetensors")


def test_path_is_returned_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.touch()
    assert get_weights(path) == path
    assert get_weights(str(path)) == path


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'avhubert-huge'.*known names: avhubert-mini, syncnet-mini"):
        get_weights("avhubert-huge")


def test_nothing_is_downloaded_before_the_licence_is_accepted(entry: Weights) -> None:
    with pytest.raises(WeightsError, match=r"licence has not been accepted(.|\n)*accept_licence=True(.|\n)*MIT"):
        get_weights("test-net")
    shown = []
    with pytest.raises(WeightsError, match="has not been accepted"):
        get_weights("test-net", accept_licence=lambda asked: bool(shown.append(asked)))
    assert shown == [entry]
    assert not entry.present


def test_download_is_recorded_and_kept(entry: Weights, payload: bytes) -> None:
    path = get_weights("test-net", accept_licence=lambda asked: asked.name == "test-net", progress=False)
    assert path.read_bytes() == payload
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(payload).hexdigest()
    assert record["sha256_expected"] is None
    assert record["bytes"] == len(payload)
    assert record["licence_accepted"] is True
    assert sorted(p.name for p in path.parent.iterdir()) == ["test-net.json", "test-net.model"]
    assert get_weights("test-net") == path  # once here, neither the licence nor the network is asked for again
    read = read_checkpoint(path)
    assert read.kind == "syncnet"
    assert read.card["url"] == entry.url


def test_wrong_hash_keeps_nothing(entry: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, dataclasses.replace(entry, sha256="0" * 64))
    with pytest.raises(WeightsError, match="is not the expected file"):
        get_weights("test-net", accept_licence=True, progress=False)
    assert list(entry.path.parent.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x.model", "{server}/absent.model"])
def test_failed_download_says_what_to_do(
    entry: Weights, server: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _register(monkeypatch, dataclasses.replace(entry, url=url.format(server=server)))
    with pytest.raises(WeightsError, match=r"could not download.*give its path instead of the name"):
        get_weights("test-net", accept_licence=True, progress=False)
    assert not entry.present


def test_weights_without_an_address_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFG_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"cannot be downloaded by name: .*lipsync_expert\.pth"):
        get_weights("wav2lip-expert", accept_licence=True)


def test_file_put_into_the_cache_by_hand_is_used(entry: Weights, payload: bytes) -> None:
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(payload)
    assert get_weights("test-net") == entry.path
