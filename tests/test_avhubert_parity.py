"""AV-HuBERT against the original's numbers (synthetic weights), ESPnet's AV-HuBERT and fairseq's encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tfg.experts.avhubert import AVHubert, AVHubertConfig, TransformerEncoder

pytestmark = pytest.mark.parity

SMALL = replace(AVHubertConfig.base(), layers=3, embed_dim=96, heads=4, ffn_dim=192, final_dim=64, n_classes=24)


def special_entry(name: str, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray | None:
    """The entries that both fillers keep near values a trained network has."""
    if name.endswith(("running_var", "weight_g")):
        return 1 + 0.1 * x
    if name.endswith("running_mean"):
        return 0.1 * x
    if len(shape) == 1 and name.endswith("weight"):
        return 0.25 + 0.02 * x if "relu" in name or "frontend3D.2" in name else 1 + 0.1 * x
    return None


def sine_filler(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as a sine of their index: nearly rank 2, catches structural errors."""
    x = np.sin(0.7 * np.arange(np.prod(shape, dtype=int)) + sum(map(ord, name)) % 97)
    value = special_entry(name, shape, x)
    return 0.02 * x if value is None else value


def hash_filler(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as an integer hash of their index: full rank, catches wiring errors."""
    size = int(np.prod(shape, dtype=int))
    h = np.arange(size, dtype=np.uint32) * np.uint32(2654435761)
    h += np.uint32((sum(map(ord, name)) * 40503 + 1) % 2**32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(2246822519)
    h ^= h >> np.uint32(13)
    h *= np.uint32(3266489917)
    h ^= h >> np.uint32(16)
    x = h / 2**31 - 1
    value = special_entry(name, shape, x)
    if value is not None:
        return value
    return 0.1 * x if len(shape) < 2 else np.sqrt(3 * shape[0] / size) * x


def fill(model: AVHubert, filler: Callable[[str, tuple[int, ...]], np.ndarray]) -> AVHubert:
    """Load a synthetic checkpoint through the public loader."""
    state = {
        name: torch.from_numpy(filler(name, tuple(x.shape)).reshape(x.shape)).float() if x.is_floating_point() else x
        for name, x in model.state_dict().items()
    }
    model.load_official(state)
    return model.eval()


# ---- numbers of the original code ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled_base() -> AVHubert:
    return fill(AVHubert(AVHubertConfig.base()), sine_filler)


@pytest.mark.parametrize("frozen", [False, True])
@torch.inference_mode()
def test_base_gives_the_numbers_of_the_original(filled_base: AVHubert, frozen: bool) -> None:
    model = filled_base.freeze() if frozen else filled_base
    audio = torch.sin(0.3 * torch.arange(104 * 12, dtype=torch.float64)).float().view(1, 104, 12).mT
    video = torch.sin(0.05 * torch.arange(12 * 88 * 88, dtype=torch.float64)).float().view(1, 12, 88, 88)
    heard, seen = model.features(audio=audio)[0], model.features(video=video)[0]
    for features, first, last, mean in (
        (heard, [0.216356, 1.082668, 0.978149, 0.901851], [-0.032917, -0.905148], 0.895912),
        (seen, [0.759900, 0.701897, -1.417611, 0.385644], [0.746532, 0.636246], 0.846567),
    ):
        np.testing.assert_allclose(features[0, :4], first, atol=1e-4)
        np.testing.assert_allclose(features[11, -2:], last, atol=1e-4)
        assert float(features.abs().mean()) == pytest.approx(mean, abs=1e-4)
    front = model.feature_extractor_video.resnet(video)[0]
    assert float(front.mean()) == pytest.approx(0.701127, abs=1e-4)
    assert float(front.std()) == pytest.approx(0.442811, abs=1e-4)
    np.testing.assert_allclose(front[:2, 0], [0.658796, 0.567386], atol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
@torch.inference_mode()
def test_small_network_with_full_rank_weights(golden: dict[str, np.ndarray], frozen: bool) -> None:
    model = fill(AVHubert(SMALL), hash_filler)
    model = model.freeze() if frozen else model
    audio = torch.sin(0.11 * torch.arange(2 * 104 * 30, dtype=torch.float64)).float().view(2, 104, 30).mT
    b, t, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (2, 30, 88, 88)), indexing="ij")
    video = (torch.cos(0.23 * x + 0.61 * t + 0.5 * b) * torch.cos(0.19 * y - 0.47 * t)).float()
    np.testing.assert_allclose(model.features(audio=audio), golden["x1_A_none"], atol=1e-4)
    np.testing.assert_allclose(model.features(video=video), golden["x1_V_none"], atol=1e-4)
    np.testing.assert_allclose(model.feature_extractor_video.resnet(video)[0].mT, golden["x1_resnet"], atol=1e-4)


# ---- ESPnet's AV-HuBERT with the same weights ------------------------------------------------------------------------


class EspnetPair:
    """The same random weights in both networks."""

    def __init__(self, espnet: ModuleType) -> None:
        config = espnet.AVHubertConfig(
            audio_feat_dim=104,
            layer_norm_first=True,
            encoder_layers=SMALL.layers,
            encoder_embed_dim=SMALL.embed_dim,
            encoder_ffn_embed_dim=SMALL.ffn_dim,
            encoder_attention_heads=SMALL.heads,
        )
        self.theirs = espnet.AVHubertModel.build_model(config).eval()
        self.ours = fill(AVHubert(SMALL), hash_filler)
        mine = self.ours.state_dict()
        self.theirs.load_state_dict({name: mine[name].view_as(x) for name, x in self.theirs.state_dict().items()})
        generator = torch.Generator().manual_seed(3)
        self.audio = torch.randn(2, 20, 104, generator=generator)
        self.video = torch.randn(2, 20, 88, 88, generator=generator)

    def espnet(self, audio: Tensor | None, video: Tensor | None, mask: Tensor | None, layer: int | None) -> Tensor:
        source = {
            "audio": None if audio is None else audio.mT,
            "video": None if video is None else video[:, None],
        }
        return self.theirs.extract_finetune(source, padding_mask=mask, output_layer=layer)[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pair() -> EspnetPair:
    pytest.importorskip("fairseq")
    return EspnetPair(pytest.importorskip("espnet2.asr.encoder.avhubert_encoder"))


@pytest.mark.parametrize("layer", [None, 1, 3])
@pytest.mark.parametrize("modalities", ["a", "v", "av"])
@torch.inference_mode()
def test_features_equal_espnets(pair: EspnetPair, modalities: str, layer: int | None) -> None:
    audio = pair.audio if "a" in modalities else None
    video = pair.video if "v" in modalities else None
    theirs = pair.espnet(audio, video, None, layer)
    for model in (pair.ours, pair.ours.freeze()):
        torch.testing.assert_close(model.features(audio, video, layer=layer), theirs, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_padded_batch_equals_espnets(pair: EspnetPair) -> None:
    mask = torch.zeros(2, 20, dtype=torch.bool)
    mask[1, 13:] = True
    audio = pair.audio.masked_fill(mask[..., None], 0)
    video = pair.video.masked_fill(mask[..., None, None], 0)
    theirs = pair.espnet(audio, video, mask, None)
    torch.testing.assert_close(pair.ours.features(audio, video, mask)[~mask], theirs[~mask], rtol=0, atol=1e-4)


def test_gradients_to_the_pixels_equal_espnets(pair: EspnetPair) -> None:
    """In float64: in float32 a rounding flips a few max-pooling winners, and with them the path of a gradient."""
    theirs, ours = copy.deepcopy(pair.theirs).double(), copy.deepcopy(pair.ours).double()
    video = pair.video[:1, :8].double().requires_grad_()
    upstream = torch.randn(1, 8, SMALL.embed_dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    source = {"audio": None, "video": video[:, None]}
    (expected,) = torch.autograd.grad(theirs.extract_finetune(source)[0], video, upstream)
    for model in (ours, ours.freeze()):
        (gradient,) = torch.autograd.grad(model.features(video=video), video, upstream)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


# ---- fairseq's own encoder -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [None, 2])
@pytest.mark.parametrize("padded", [False, True])
@torch.inference_mode()
def test_encoder_equals_fairseqs(padded: bool, layer: int | None) -> None:
    fairseq = pytest.importorskip("fairseq.models.wav2vec.wav2vec2")
    args = fairseq.Wav2Vec2Config(
        encoder_layers=SMALL.layers,
        encoder_embed_dim=SMALL.embed_dim,
        encoder_ffn_embed_dim=SMALL.ffn_dim,
        encoder_attention_heads=SMALL.heads,
        layer_norm_first=True,
        required_seq_len_multiple=1,
    )
    torch.manual_seed(5)
    theirs, ours = fairseq.TransformerEncoder(args).eval(), TransformerEncoder(SMALL).eval()
    for p in theirs.parameters():
        p.add_(0.05 * torch.randn_like(p))
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 33, SMALL.embed_dim)
    mask = torch.zeros(2, 33, dtype=torch.bool)
    mask[1, 21:] = padded
    expected = theirs(x, padding_mask=mask if padded else None, layer=None if layer is None else layer - 1)[0]
    actual = ours(x, mask if padded else None, layer)
    torch.testing.assert_close(actual[~mask], expected[~mask], rtol=0, atol=1e-4)
