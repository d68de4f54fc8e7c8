"""An expert: a frozen network with everything between a video and its features.

``load_expert`` gives one of two:

* :class:`AVHubertExpert` crops the mouth as AV-HuBERT was trained on it and returns one feature per video frame, from
  sound alone, lips alone, or both;
* :class:`SyncNetExpert` crops the face and returns one embedding per window of five frames, for lips and for sound.

Both have ``name``, ``protocol`` (the numbers that make a score repeatable: every score carries them) and
``clip_features(video, track) -> (F_A, F_V)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tfg.audio import SAMPLES_PER_FRAME, mfcc, stacked_filterbank
from tfg.clip import Frames, VideoSource, Wave
from tfg.crops import face_crops_syncnet, mouth_crops, mouth_video
from tfg.errors import CheckpointError, FeatureError, WeightsError
from tfg.experts.avhubert import AVHubert, AVHubertConfig
from tfg.experts.checkpoints import Checkpoint, read_checkpoint
from tfg.experts.registry import get_weights
from tfg.experts.syncnet import WINDOW, SyncNet, SyncNetConfig
from tfg.faces import FaceTrack, track_face

WHOLE = 1500  # frames (one minute) up to which AV-HuBERT attends to the whole clip
CONTEXT = 100  # frames of a neighbouring chunk that a longer clip's chunk may look at
_BLOCK = 256  # frames of a clip that SyncNet sees at once
WEIGHTS = frozenset((".pt", ".pth", ".model", ".ckpt", ".safetensors"))

Float = NDArray[np.float32]
Gray = NDArray[np.uint8]


def track_audio(video: VideoSource, track: FaceTrack) -> Wave:
    """The sound that belongs to a face track: ``float32 (640 * (stop - start),)``."""
    return video.audio[track.start * SAMPLES_PER_FRAME : track.stop * SAMPLES_PER_FRAME]


def chunks(frames: int, whole: int = WHOLE, context: int = CONTEXT) -> list[tuple[slice, slice]]:
    """How a long clip is cut for a network whose cost grows with the square of the length.

    :returns: ``(read, keep)`` per chunk: frames ``read`` of the clip go in, rows ``keep`` of the result are kept.
        The kept rows lie end to end; each chunk but the ends has seen ``context`` frames to either side of them.
    """
    if frames <= whole:
        return [(slice(0, frames), slice(0, frames))]
    step = whole - 2 * context
    parts = []
    for begin in range(0, frames, step):
        end = min(begin + step, frames)
        first, last = max(0, begin - context), min(frames, end + context)
        parts.append((slice(first, last), slice(begin - first, end - first)))
    return parts


class AVHubertExpert:
    """AV-HuBERT with its mouth crop and filterbank.

    :param model: any size; the expert uses its frozen copy, through which gradients still reach the inputs.
    :param name: as it shall appear in results.
    :param layer: None for the last layer with the final layer norm, or ``1..layers`` (:meth:`AVHubert.features`).
    :param provenance: added to :attr:`protocol`, such as the weights' sha256.
    """

    def __init__(
        self, model: AVHubert, name: str, layer: int | None = None, provenance: dict[str, Any] | None = None
    ) -> None:
        self.model = model.freeze()
        self.name = name
        self.layer = layer
        config = model.config
        self.protocol: dict[str, Any] = {
            "name": name,
            "architecture": f"AV-HuBERT, {config.layers} layers, D = {config.embed_dim}",
            "layer": "last, after the final layer norm" if layer is None else f"output of layer {layer}, no norm",
            "lips": "mouth aligned to the mean face, 96 x 96, centre 88 x 88, grey, (x/255 - 0.421) / 0.165",
            "audio": "stacked log filterbank, 4 x 26 a frame, layer-normalised",
            "frames_per_second": 25,
            "context": f"whole track up to {WHOLE} frames; longer in chunks of {WHOLE} with {CONTEXT} of overlap",
            **(provenance or {}),
        }

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def encode(self, audio: Float | None = None, mouth: Gray | None = None) -> Float:
        """Features of one clip from its prepared inputs.

        :param audio: ``(T, 104)``, :func:`tfg.audio.stacked_filterbank`, or None for lips alone.
        :param mouth: ``uint8 (T, 96, 96)``, :func:`tfg.crops.mouth_crops`, or None for sound alone.
        :returns: ``float32 (T, D)``.
        :raises FeatureError: neither given, or lengths that differ.

        Up to 1500 frames the network attends to the whole clip, as the paper does; longer clips are read in
        overlapping chunks, with a warning, because attention's cost is quadratic.
        """
        lengths = {len(part) for part in (audio, mouth) if part is not None}
        if len(lengths) != 1:
            found = [None if part is None else len(part) for part in (audio, mouth)]
            raise FeatureError(f"audio has {found[0]} frames and mouth {found[1]}; expected at least one, same length")
        frames = lengths.pop()
        if frames > WHOLE:
            warnings.warn(
                f"{frames} frames: {self.name} reads more than {WHOLE} in chunks of {WHOLE} "
                f"that overlap by {CONTEXT}, so features near their borders see less context",
                stacklevel=2,
            )
        return np.concatenate([self._encode(audio, mouth, read)[keep] for read, keep in chunks(frames)])

    @torch.inference_mode()
    def _encode(self, audio: Float | None, mouth: Gray | None, read: slice) -> Float:
        sound = None if audio is None else torch.from_numpy(audio[read])[None].to(self.device)
        video = None if mouth is None else torch.from_numpy(mouth_video(mouth[read]))[None].to(self.device)
        features = self.model.features(audio=sound, video=video, layer=self.layer)
        return features[0].float().cpu().numpy()

    def inputs(self, video: VideoSource, track: FaceTrack | None = None) -> tuple[Float, Gray]:
        """What :meth:`encode` takes, over the frames of the face track (found when not given)."""
        track = track or track_face(video)
        audio = stacked_filterbank(track_audio(video, track), track.stop - track.start)
        return audio, mouth_crops(video, track)

    def clip_features(self, video: VideoSource, track: FaceTrack | None = None) -> tuple[Float, Float]:
        """Audio-only and video-only features of a whole clip: the paper's F_A and F_V.

        :param video: a :class:`tfg.Clip`, or a stream from :func:`tfg.open_clip`.
        :param track: the face; by default the most prominent speaking one.
        :returns: ``(F_A, F_V)``, each ``float32 (T, D)``; row 0 is frame ``track.start``.
        :raises NoFaceError: no face in the video.
        """
        audio, mouth = self.inputs(video, track)
        return self.encode(audio=audio), self.encode(mouth=mouth)

    def audio_visual_features(self, video: VideoSource, track: FaceTrack | None = None) -> Float:
        """Features from sound and lips together, ``float32 (T, D)``; parameters as :meth:`clip_features`."""
        audio, mouth = self.inputs(video, track)
        return self.encode(audio=audio, mouth=mouth)


class SyncNetExpert:
    """SyncNet with its face crop and MFCC.

    :param model: any configuration; scoring uses its frozen copy (batch norm folded).
    :param name: as it shall appear in results.
    :param provenance: added to :attr:`protocol`, such as the weights' sha256.

    Embeddings of a network whose heads are rectified (the mini, trained on a cosine) are L2-normalised, so that a
    Euclidean distance orders pairs as that cosine does; those of the released network are left as they are.
    """

    def __init__(self, model: SyncNet, name: str, provenance: dict[str, Any] | None = None) -> None:
        self.model = model.freeze()
        self.name = name
        size = model.config.image_size
        self.normalise = model.config.rectified
        self.protocol: dict[str, Any] = {
            "name": name,
            "architecture": f"SyncNet, {size}-pixel crops, E = {model.config.embed_dim}",
            "lips": f"{WINDOW} frames of a {size} x {size} face crop",
            "audio": "13 MFCC x 20 columns (0.2 s)",
            "embedding": "L2-normalised, distances in [0, 1.41]" if self.normalise else "as released, not normalised",
            "frames_per_second": 25,
            **(provenance or {}),
        }

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    def clip_embeddings(self, video: VideoSource, track: FaceTrack | None = None) -> tuple[Float, Float]:
        """Lip and audio embeddings of a face track.

        :param video: a :class:`tfg.Clip`, or a stream from :func:`tfg.open_clip`.
        :param track: the face; by default the most prominent speaking one.
        :returns: ``(lip, audio)``, each ``float32 (W, E)`` with ``W = T - 5``; row i of both begins at frame
            ``track.start + i``.
        :raises NoFaceError: no face in the video.
        :raises FeatureError: a track of fewer than 6 frames.
        """
        track = track or track_face(video)
        crops = face_crops_syncnet(video, track, size=self.model.config.image_size)
        return self._embed(iter([crops]), track.stop - track.start, track_audio(video, track))

    def frame_embeddings(self, video: VideoSource) -> tuple[Float, Float]:
        """As :meth:`clip_embeddings`, but each **whole frame** is squashed to SyncNet's square: the "LRS" protocol.

        No face is looked for. It suits corpora whose frames are face crops already, as those of LRS2 are.
        """
        size = self.model.config.image_size
        squashed = (
            np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_LINEAR) for frame in block])
            for block in video.blocks()
        )
        return self._embed(squashed, video.n_frames, video.audio)

    def clip_features(self, video: VideoSource, track: FaceTrack | None = None) -> tuple[Float, Float]:
        """``(F_A, F_V)``: :meth:`clip_embeddings` in the order of :meth:`AVHubertExpert.clip_features`."""
        lip, audio = self.clip_embeddings(video, track)
        return audio, lip

    def encode_lips(self, crops: Frames) -> Float:
        """Lip embeddings of a face's crops.

        :param crops: ``uint8 (T, S, S, 3)``, :func:`tfg.crops.face_crops_syncnet`.
        :returns: ``float32 (T - 5, E)``: one window fewer than there are, as sound has them.
        """
        return self._lips(iter([crops]), len(crops))

    def encode_sound(self, audio: Wave) -> Float:
        """Audio embeddings ``float32 (T - 5, E)`` of the sound ``float32 (640 T,)`` that belongs to ``T`` crops."""
        frames = len(audio) // SAMPLES_PER_FRAME
        return self._scale(self.model.embed_audio(mfcc(audio))[: _windows(frames)])

    def _embed(self, crops: Iterator[Frames], frames: int, audio: Wave) -> tuple[Float, Float]:
        _windows(frames)  # too few are refused before the network runs
        return self._lips(crops, frames), self.encode_sound(audio)

    def _lips(self, crops: Iterator[Frames], frames: int) -> Float:
        count = _windows(frames)
        return self._scale(np.concatenate([self.model.embed_face(block) for block in _overlapping(crops)])[:count])

    def _scale(self, embeddings: Float) -> Float:
        if not self.normalise:
            return embeddings
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(norms, 1e-8), np.float32)


def _windows(frames: int) -> int:
    """How many windows of lips and sound a track of ``frames`` frames gives."""
    if frames <= WINDOW:
        raise FeatureError(f"{frames} frames; SyncNet pairs need at least {WINDOW + 1} (0.24 s) of face and sound")
    return frames - WINDOW


def _overlapping(blocks: Iterator[Frames], size: int = _BLOCK) -> Iterator[Frames]:
    """Blocks that repeat the last four frames of the one before, so that no five-frame window is lost between them."""
    carried: Frames | None = None
    for block in blocks:
        for part in (block[i : i + size] for i in range(0, len(block), size)):
            joined = part if carried is None else np.concatenate([carried, part])
            if len(joined) >= WINDOW:
                yield joined
            carried = joined[-(WINDOW - 1) :]


# ---- loading ------------------------------------------------------------------------------------------------------


def load_expert(
    name_or_path: str | Path, device: str = "cpu", layer: int | None = None
) -> AVHubertExpert | SyncNetExpert:
    """Load an expert, ready to score.

    :param name_or_path: ``"avhubert-mini"`` or ``"syncnet-mini"`` (they come with the package), another name of
        ``tfg weights list`` (once fetched), a checkpoint (``.pt``, ``.pth``, ``.model``, ``.safetensors``), or a
        folder that holds exactly one.
    :param device: of torch, such as ``"cpu"``, ``"cuda"``, ``"mps"``.
    :param layer: of AV-HuBERT, see :class:`AVHubertExpert`.
    :returns: :class:`AVHubertExpert` or :class:`SyncNetExpert`, as the weights' names tell.
    :raises WeightsError: an unknown name, or weights that are not there.
    :raises CheckpointError: the file cannot be read, or is of neither architecture.
    :raises FeatureError: no such device, or a layer that the network does not have.
    """
    path, name = find_weights(name_or_path)
    checkpoint = read_checkpoint(path)
    provenance = {"weights": path.name, "sha256": checkpoint.sha256}
    where = torch_device(device)
    if checkpoint.kind == "avhubert":
        config = _avhubert_config(checkpoint)
        if layer is not None and not 1 <= layer <= config.layers:
            raise FeatureError(f"layer is {layer}; {name} has layers 1 to {config.layers}, or None for the last")
        hubert = AVHubert(config)
        hubert.load_official(checkpoint.state_dict)
        return AVHubertExpert(hubert.to(where), name, layer, provenance)
    if checkpoint.kind == "syncnet":
        if layer is not None:
            raise FeatureError(f"layer is {layer}; {name} is a SyncNet, which has no layers to choose from")
        sync = SyncNet(_syncnet_config(checkpoint))
        sync.load_official(checkpoint.state_dict)
        return SyncNetExpert(sync.to(where), name, provenance)
    raise CheckpointError(
        f"{path}: these are weights of {checkpoint.kind}, which gives no scores; expected AV-HuBERT or SyncNet"
    )


def find_weights(name_or_path: str | Path) -> tuple[Path, str]:
    """The weights' file, and the expert's name in results."""
    path = Path(name_or_path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in WEIGHTS)
        if len(files) != 1:
            found = ", ".join(p.name for p in files) or "no weights"
            raise WeightsError(f"{path} holds {found}; expected exactly one of {', '.join(sorted(WEIGHTS))}")
        path = files[0]
    path = get_weights(path)  # names are looked up, files are taken as they are
    return path, path.stem


def torch_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise FeatureError(
            f"device {name!r} is not available here ({str(error).splitlines()[0]}); try 'cpu'"
        ) from error
    return device


def _avhubert_config(checkpoint: Checkpoint) -> AVHubertConfig:
    if "embed_dim" in checkpoint.card.get("config", {}):
        return AVHubertConfig(**_known_fields(AVHubertConfig, checkpoint))
    return AVHubertConfig.from_state_dict(checkpoint.state_dict)


def _syncnet_config(checkpoint: Checkpoint) -> SyncNetConfig:
    if "image_size" in checkpoint.card.get("config", {}):
        return SyncNetConfig(**_known_fields(SyncNetConfig, checkpoint))
    sizes = {"mini": SyncNetConfig.mini, "v2": SyncNetConfig.v2}
    if checkpoint.size not in sizes:
        raise CheckpointError(
            f"{checkpoint.source}: a SyncNet of none of the known sizes ({', '.join(sizes)}); "
            "put its SyncNetConfig into the card's `config` (tfg.experts.save_weights)"
        )
    return sizes[checkpoint.size]()


def _known_fields(kind: type, checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.card["config"]
    expected = {field.name for field in fields(kind)}
    if unknown := sorted(set(config) - expected):
        raise CheckpointError(f"{checkpoint.source}: its card's config has {unknown}; expected {sorted(expected)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
