"""AV-HuBERT: one transformer that reads lips, hears speech, or does both.

Read this file from top to bottom; it is the whole model but for the visual front end (`resnet.py`):

1. every 25 Hz video frame becomes one vector (ResNet), and so does every 40 ms of sound (a linear map of the stacked
   filterbank);
2. the two are concatenated, **audio first**. A missing modality is a block of zeros at this point, which is how
   modality dropout showed it to the model during training. This is what lets one model give audio-only features F_A and
   video-only features F_V in the same space, the property the sync loss and the AVS metrics stand on;
3. layer norm, a projection to D, a convolution that tells positions apart, and a stack of pre-norm transformer layers.

Module names are those of the released checkpoints, so `AVHubert.load_official` needs neither fairseq nor a pickle.
The weights are published for non-commercial research only and are not part of this package.

Source: Shi et al., *Learning Audio-Visual Speech Representation by Masked Multimodal Cluster Prediction*, ICLR 2022
(arXiv 2201.02184), and its published configurations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tfg.errors import CheckpointError, FeatureError
from tfg.experts.avhubert_checkpoint import encoder_entries
from tfg.experts.avhubert_inputs import AUDIO_SIZE, MOUTH_SIZE, check_inputs
from tfg.experts.checkpoints import load_strict
from tfg.experts.resnet import VisualFrontEnd

#: Temperature of the cluster logits: cosine / 0.1.
LOGIT_TEMPERATURE = 0.1
#: The fields of a configuration that make a network `mini`, `base` or `large`; the rest belongs to training.
NETWORK_FIELDS = ("width", "video_pool", "embed_dim", "layers", "heads", "ffn_dim", "pos_kernel", "pos_groups")


@dataclass(frozen=True)
class AVHubertConfig:
    """The numbers that define an AV-HuBERT. `mini`, `base` and `large` name the three that this project uses."""

    width: int  # channels of the ResNet's first stage (64 in the released models)
    video_pool: int  # average-pool the 88-pixel crop by this factor first (1 in the released models)
    embed_dim: int  # D
    layers: int
    heads: int
    ffn_dim: int
    pos_kernel: int  # taps of the positional convolution, in frames
    pos_groups: int
    final_dim: int  # size of the space in which clusters are predicted
    n_classes: int  # clusters; released models add 4 in front (<s> <pad> </s> <unk>), so cluster c is class c + 4
    mask_emb_dim: int = AUDIO_SIZE  # 104: masks the audio input; D: masks features (training iterations 1 to 4)
    dropout: float = 0.1
    layerdrop: float = 0.05

    def __post_init__(self) -> None:
        if self.embed_dim % self.heads or self.embed_dim % self.pos_groups:
            raise FeatureError(
                f"embed_dim {self.embed_dim} must be a multiple of heads ({self.heads}) "
                f"and of pos_groups ({self.pos_groups})"
            )
        if MOUTH_SIZE % self.video_pool:
            raise FeatureError(f"video_pool {self.video_pool} does not divide the {MOUTH_SIZE}-pixel mouth crop")

    @property
    def name(self) -> str:
        """``mini``, ``base`` or ``large`` when the network (its head aside) is one of these, else its main numbers."""
        for name in ("mini", "base", "large"):
            preset = getattr(AVHubertConfig, name)()
            if all(getattr(self, field) == getattr(preset, field) for field in NETWORK_FIELDS):
                return name
        return f"width {self.width}, D {self.embed_dim}, {self.layers} layers, {self.heads} heads, ffn {self.ffn_dim}"

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> AVHubertConfig:
        """The configuration that a state dict (pre-trained or fine-tuned) was made with, read off its shapes.

        Two numbers leave no trace in the shapes, the heads and ``video_pool``: they are those of `mini`, `base` or
        `large`, whichever has this D and width.

        :raises CheckpointError: an entry that every AV-HuBERT has is missing, or D and width are none of the three.
        """
        entries, _ = encoder_entries(state_dict)
        try:
            width = entries["feature_extractor_video.resnet.frontend3D.0.weight"].shape[0]
            dim, per_group, kernel = entries["encoder.pos_conv.0.weight_v"].shape
            ffn_dim = entries["encoder.layers.0.fc1.weight"].shape[0]
            n_classes, final_dim = entries["label_embs_concat"].shape
            mask_emb_dim = entries["mask_emb"].shape[0]
        except KeyError as missing:
            raise CheckpointError(f"This is no AV-HuBERT that is known here: there is no entry {missing}") from None
        layers = sum(re.fullmatch(r"encoder\.layers\.\d+\.fc1\.weight", name) is not None for name in entries)
        known = [p for p in (cls.mini(), cls.base(), cls.large()) if (p.embed_dim, p.width) == (dim, width)]
        if not known:
            raise CheckpointError(
                f"This AV-HuBERT (D {dim}, width {width}, {layers} layers) is of no size known here, and shapes "
                "do not tell its number of heads: write its AVHubertConfig out"
            )
        heads, video_pool = known[0].heads, known[0].video_pool
        return cls(
            width=width,
            video_pool=video_pool,
            embed_dim=dim,
            layers=layers,
            heads=heads,
            ffn_dim=ffn_dim,
            pos_kernel=kernel,
            pos_groups=dim // per_group,
            final_dim=final_dim,
            n_classes=n_classes,
            mask_emb_dim=mask_emb_dim,
        )

    @classmethod
    def mini(cls) -> AVHubertConfig:
        """The size that this package trains and ships: about 3.8 M parameters, made for a laptop's CPU."""
        numbers = dict(width=24, video_pool=2, embed_dim=192, layers=4, heads=4, ffn_dim=768)
        return cls(**numbers, pos_kernel=32, pos_groups=4, final_dim=64, n_classes=200)

    @classmethod
    def base(cls) -> AVHubertConfig:
        """The released base model: 12 layers, D 768, 103 M parameters."""
        numbers = dict(width=64, video_pool=1, embed_dim=768, layers=12, heads=12, ffn_dim=3072)
        return cls(**numbers, pos_kernel=128, pos_groups=16, final_dim=256, n_classes=2004)

    @classmethod
    def large(cls) -> AVHubertConfig:
        """The released large model: 24 layers, D 1024, 325 M parameters."""
        numbers = dict(width=64, video_pool=1, embed_dim=1024, layers=24, heads=16, ffn_dim=4096)
        return cls(**numbers, pos_kernel=128, pos_groups=16, final_dim=256, n_classes=2004)


class AudioProjection(nn.Module):
    """Stacked filterbank ``(B, T, 104)`` -> ``(B, T, D)``."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.proj = nn.Linear(AUDIO_SIZE, config.embed_dim)

    def forward(self, audio: Tensor) -> Tensor:
        return self.proj(audio)


class VideoProjection(nn.Module):
    """Normalised mouth video ``(B, T, 88, 88)`` -> ``(B, T, D)``."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.resnet = VisualFrontEnd(config.width, config.video_pool)
        self.proj = nn.Linear(8 * config.width, config.embed_dim)

    def forward(self, video: Tensor) -> Tensor:
        return self.proj(self.resnet(video))


class PositionConv(nn.Module):
    """The positional embedding: a wide grouped convolution over time, ``(B, T, D)`` -> ``(B, T, D)``.

    ``y[t] = bias + sum_j weight[..., j] x[t + j - k/2]`` with zeros outside of the clip. The weight is kept as a
    direction ``weight_v`` and, per tap j, a length ``weight_g`` (weight normalisation over all but the tap axis).

    With 128 taps the sum over j is cheaper as a product of spectra: time is cut into blocks of k outputs, each of which
    needs 2k inputs (overlap-save). It is the same sum to float32 rounding, and the cost per frame does not depend on T.
    """

    def __init__(self, dim: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.weight_v = nn.Parameter(torch.empty(dim, dim // groups, kernel))
        nn.init.normal_(self.weight_v, std=math.sqrt(4 / (kernel * dim)))
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=(0, 1), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(dim))

    def weight_spectrum(self) -> Tensor:
        """The normalised weight's spectrum, complex ``(k + 1, groups, D/groups in, D/groups out)``."""
        direction, length = at_least_float32(self.weight_v), at_least_float32(self.weight_g)
        weight = direction * (length / direction.norm(dim=(0, 1), keepdim=True))
        spectrum = torch.fft.rfft(weight, n=2 * self.kernel).conj()  # conjugate: a correlation, not a convolution
        channels = weight.shape[1]
        return spectrum.view(self.groups, channels, channels, self.kernel + 1).permute(3, 0, 2, 1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        batch, time, dim = x.shape
        k, groups = self.kernel, self.groups
        blocks = -(-time // k)
        padded = F.pad(at_least_float32(x), (0, 0, k // 2, (blocks + 1) * k - k // 2 - time))
        spectrum = torch.fft.rfft(padded.unfold(1, 2 * k, k))  # (B, blocks, D, k + 1)
        spectrum = spectrum.view(batch * blocks, groups, dim // groups, k + 1).permute(3, 1, 0, 2)
        mixed = (spectrum @ self.weight_spectrum()).permute(2, 1, 3, 0)  # (B*blocks, groups, D/groups, k + 1)
        y = torch.fft.irfft(mixed, n=2 * k)[..., :k]  # what lies beyond k has wrapped around
        y = y.reshape(batch, blocks, dim, k).transpose(2, 3).reshape(batch, blocks * k, dim)
        return y[:, :time].to(self.bias.dtype) + self.bias


def at_least_float32(x: Tensor) -> Tensor:
    """Fourier transforms know no half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class SelfAttention(nn.Module):
    """Multi-head self-attention; frames where ``attend`` is False are seen by nobody."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.q_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        batch, time, dim = x.shape
        q, k, v = (
            proj(x).view(batch, time, self.heads, dim // self.heads).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=attend, dropout_p=dropout)
        return self.out_proj(y.transpose(1, 2).reshape(batch, time, dim))


class TransformerLayer(nn.Module):
    """One pre-norm layer: ``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config.embed_dim, config.heads, config.dropout)
        self.self_attn_layer_norm = nn.LayerNorm(config.embed_dim)
        self.fc1 = nn.Linear(config.embed_dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.embed_dim)
        self.final_layer_norm = nn.LayerNorm(config.embed_dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, attend: Tensor | None) -> Tensor:
        x = x + self.dropout(self.self_attn(self.self_attn_layer_norm(x), attend))
        return x + self.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


class TransformerEncoder(nn.Module):
    """Position convolution, layers, final norm: ``(B, T, D)`` -> ``(B, T, D)``."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        position = PositionConv(config.embed_dim, config.pos_kernel, config.pos_groups)
        self.pos_conv = nn.Sequential(position, nn.GELU())
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layerdrop = config.layerdrop

    def forward(self, x: Tensor, padding_mask: Tensor | None, layer: int | None) -> Tensor:
        attend = None
        if padding_mask is not None:
            x = x.masked_fill(padding_mask[:, :, None], 0.0)
            attend = ~padding_mask[:, None, None, :]
        x = self.dropout(x + self.pos_conv(x))
        for transformer_layer in self.layers[:layer]:
            if self.training and torch.rand(()) < self.layerdrop:
                continue
            x = transformer_layer(x, attend)
        return x if layer is not None else self.layer_norm(x)


class AVHubert(nn.Module):
    """AV-HuBERT in the three sizes of `AVHubertConfig`. See the module's first lines for how it works."""

    def __init__(self, config: AVHubertConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.feature_extractor_audio = AudioProjection(config)
        self.feature_extractor_video = VideoProjection(config)
        self.layer_norm = nn.LayerNorm(2 * dim)
        self.post_extract_proj = nn.Linear(2 * dim, dim)
        self.dropout_input = nn.Dropout(config.dropout)
        self.encoder = TransformerEncoder(config)
        # The head of the masked cluster prediction, used in training only.
        self.mask_emb = nn.Parameter(torch.rand(config.mask_emb_dim))
        self.final_proj: nn.Linear | None = nn.Linear(dim, config.final_dim)
        self.label_embs_concat = nn.Parameter(torch.randn(config.n_classes, config.final_dim))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def features(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        padding_mask: Tensor | None = None,
        layer: int | None = None,
    ) -> Tensor:
        """Speech features of a batch of clips, from sound, from lips, or from both.

        :param audio: ``(B, T, 104)`` float, `tfg.audio.stacked_filterbank`: one row per video frame (25 Hz).
        :param video: ``(B, T, 88, 88)`` float, `tfg.crops.mouth_video`: grey, ``(x/255 - 0.421) / 0.165``.
        :param padding_mask: ``(B, T)`` bool, True where a shorter clip of the batch has no frame. The real frames'
            features are those of the clip alone; the features *at* padded frames mean nothing.
        :param layer: None takes the last layer and then the encoder's final layer norm: the features of the metrics
            and of the loss. ``k`` in ``1..layers`` takes what layer k puts out, **without** that norm, so
            ``layer=layers`` is not ``layer=None``.
        :returns: ``(B, T, D)`` float. Give audio alone for F_A, video alone for F_V. A missing modality is zeros
            *after* its projection; a black video or a silent filterbank instead gives other features.
        :raises FeatureError: a shape or type is wrong; the message says what to do about it.
        """
        check_inputs(audio, video, padding_mask, layer, self.config.layers)
        if padding_mask is not None:
            # The first convolution reaches two frames past a clip's end: make sure that it finds zeros there.
            video = None if video is None else video.masked_fill(padding_mask[:, :, None, None], 0.0)
        return self.fuse_and_encode(
            None if audio is None else self.audio_front(audio),
            None if video is None else self.video_front(video),
            padding_mask,
            layer,
        )

    def audio_front(self, audio: Tensor) -> Tensor:
        """``(B, T, 104)`` -> ``(B, T, D)``: each frame by itself."""
        return self.feature_extractor_audio(audio)

    def video_front(self, video: Tensor) -> Tensor:
        """``(B, T, 88, 88)`` -> ``(B, T, D)``: frame t looks at frames t-2 .. t+2 (zeros beyond the clip)."""
        return self.feature_extractor_video(video)

    def fuse_and_encode(
        self,
        audio_feats: Tensor | None,
        video_feats: Tensor | None,
        padding_mask: Tensor | None = None,
        layer: int | None = None,
    ) -> Tensor:
        """The front ends' outputs ``(B, T, D)`` (None: this modality is missing) -> features ``(B, T, D)``."""
        if audio_feats is None and video_feats is None:
            raise FeatureError("give audio_feats, video_feats or both; got neither")
        if audio_feats is None:
            audio_feats = torch.zeros_like(video_feats)  # type: ignore[arg-type]
        if video_feats is None:
            video_feats = torch.zeros_like(audio_feats)
        fused = self.layer_norm(torch.cat([audio_feats, video_feats], dim=-1))
        return self.encoder(self.dropout_input(self.post_extract_proj(fused)), padding_mask, layer)

    def logits(self, features: Tensor) -> Tensor:
        """Cluster logits ``(B, T, n_classes)`` of features ``(B, T, D)``: cosine to every cluster, over 0.1."""
        if self.final_proj is None:
            raise FeatureError("this model came from a fine-tuned checkpoint, which has no cluster head: no logits")
        projected = F.normalize(self.final_proj(features), dim=-1)
        return projected @ F.normalize(self.label_embs_concat, dim=-1).T / LOGIT_TEMPERATURE

    def freeze(self) -> AVHubert:
        """A faster copy with the same features for scoring and for losses, see `tfg.experts.folding.freeze`."""
        from tfg.experts.folding import freeze  # it builds on this module

        return freeze(self)

    def load_official(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load the weights of a released checkpoint, pre-trained or fine-tuned; every entry must fit.

        A fine-tuned checkpoint's decoder is left out. It has no ``final_proj``, so `logits` is refused afterwards.
        ``mask_emb`` (used in training only) may have size 104 or D. The authors train with a gradient multiplier of 0.1
        on the front ends; here gradients always pass unchanged.

        :param state_dict: names to tensors, as in the checkpoint's ``model`` entry.
        :raises CheckpointError: entries are missing, unknown or of another shape; the message names them and says
            which architecture they seem to belong to. The model is left as it was.
        """
        entries, fine_tuned = encoder_entries(state_dict)
        own = self.state_dict()
        replaced: dict[str, Tensor] = {}
        headless = fine_tuned and not any(name.startswith("final_proj.") for name in entries)
        if headless:
            replaced |= {name: own[name] for name in own if name.startswith("final_proj.")}
        mask_emb = entries.get("mask_emb", own["mask_emb"])
        if mask_emb.shape in ((AUDIO_SIZE,), (self.config.embed_dim,)):
            replaced["mask_emb"] = own["mask_emb"]
        try:
            load_strict(self, entries | replaced, f"this AV-HuBERT ({self.config.name})")
        except CheckpointError as error:
            raise CheckpointError(f"{error}. {_which_architecture(entries, self.config)}") from None
        if headless:
            self.final_proj = None
        if "mask_emb" in replaced:
            self.mask_emb = nn.Parameter(mask_emb.detach().clone().to(self.mask_emb))
            self.config = replace(self.config, mask_emb_dim=len(mask_emb))


def _which_architecture(entries: Mapping[str, Tensor], built: AVHubertConfig) -> str:
    """A sentence on what the entries seem to be, for an error message."""
    try:
        found = AVHubertConfig.from_state_dict(entries)
    except CheckpointError as error:
        return str(error)
    if found.name == built.name:
        return f"The shapes are those of {found.name}, as in the model"
    return f"These are the shapes of {found.name}; you built {built.name}: use AVHubertConfig.from_state_dict"
