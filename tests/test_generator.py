"""The generator: its sizes, what may and what must not influence a face, and its inputs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny_experts
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tfg.audio import log_mel
from tfg.crops import face_crops, generator_boxes
from tfg.errors import CheckpointError, CropError, FeatureError, WeightsError
from tfg.experts.checkpoints import save_weights
from tfg.generator import KEPT, Generator, GeneratorConfig, Hidden, load_generator
from tfg.generator_inputs import (
    SILENCE,
    ClipInputs,
    draw_identity_frames,
    faces_to_tensor,
    mask_lower_half,
    mel_windows,
    steady_identity_frames,
    tensor_to_faces,
)

TINY = GeneratorConfig(
    image_size=32, widths=(16, 16, 32), encoder_blocks=(0, 1, 1), decoder_blocks=(0, 1, 2),
    identity_scales=2, audio_widths=(16, 16, 16, 16), audio_blocks=1, audio_dim=24,
)  # fmt: skip


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(TINY, seed=1)


def batch(n: int, size: int = 32, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    faces = torch.rand(2, n, 3, size, size, generator=draw)
    return torch.rand(n, 1, 80, 16, generator=draw) * 8 - 4, faces[0], faces[1]


# ---- sizes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "parameters", "gigaflops"),
    [("mini", 96, 2_129_012, 0.71), ("size96", 96, 41_878_788, 5.76), ("size256", 256, 42_550_372, 19.89)],
)
def test_each_configuration_has_the_size_that_is_documented(
    name: str, size: int, parameters: int, gigaflops: float
) -> None:
    with torch.device("meta"):  # shapes and costs, nothing is computed
        net = Generator(getattr(GeneratorConfig, name)())
        with FlopCounterMode(display=False) as counter:
            face = net(torch.zeros(1, 1, 80, 16), torch.zeros(1, 3, size, size), torch.zeros(1, 3, size, size))
    assert face.shape == (1, 3, size, size)
    assert net.image_size == size
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert counter.get_total_flops() / 1e9 == pytest.approx(gigaflops, abs=0.01)


def test_mini_fits_in_fifteen_megabytes(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in Generator().state_dict().items()}
    path = save_weights(state, tmp_path / "mini.safetensors", {"kind": "generator"})
    assert path.stat().st_size + path.with_suffix(".json").stat().st_size < 15e6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 30}, "image_size is 30.*multiple of 4"),
        ({"image_size": 4}, "image_size is 4.*at least 8"),
        ({"widths": (16, 16)}, "same number"),
        ({"widths": (16, 24, 32)}, "multiples of 16"),
        ({"audio_widths": (16, 16, 16)}, "3 entries; expected 4"),
        ({"decoder_blocks": (1, 1, 0)}, "coarsest scale"),
        ({"encoder_blocks": (0, -1, 0)}, "0 or more"),
        ({"identity_scales": 0}, "expected 1 to 3"),
        ({"hidden": "black"}, "expected one of identity, grey"),
        ({"audio_dim": 0}, "audio_dim is 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        dataclasses.replace(TINY, **change)  # type: ignore[arg-type]


def test_wrong_input_shapes_say_what_was_expected(generator: Generator) -> None:
    audio, identity, pose = batch(2)
    for wrong in ((audio[:, 0], identity, pose), (audio, identity[:1], pose), (audio, identity, pose[..., :16])):
        with pytest.raises(FeatureError, match=r"expected \(N, 1, 80, 16\), \(N, 3, 32, 32\)"):
            generator(*wrong)


# ---- what a face depends on ---------------------------------------------------------------------------------------


def test_lower_half_of_the_pose_reference_has_no_influence(generator: Generator) -> None:
    audio, identity, pose = batch(2)
    other = pose.clone()
    other[:, :, 16:] = torch.nan  # not even this
    with torch.no_grad():
        assert torch.equal(generator(audio, identity, pose), generator(audio, identity, other))
        other[:, :, 15] = 0.5  # the last row of the upper half does count
        assert not torch.equal(generator(audio, identity, pose), generator(audio, identity, other))


@pytest.mark.parametrize("size", [32, 33])
def test_mask_hides_exactly_the_lower_half(size: int) -> None:
    faces = torch.rand(2, 3, size, size)
    masked = mask_lower_half(faces)
    assert torch.equal(masked[:, :, : size // 2], faces[:, :, : size // 2])
    assert masked[:, :, size // 2 :].abs().max() == 0
    assert masked.shape == faces.shape


@pytest.mark.parametrize("hidden", ["identity", "grey"])
def test_an_untrained_generator_shows_the_pose_above_and_its_start_below(hidden: Hidden) -> None:
    audio, identity, pose = batch(2)
    with torch.no_grad():
        face = Generator(dataclasses.replace(TINY, hidden=hidden))(audio, identity, pose)
    assert (face - pose)[:, :, :16].abs().mean() < 0.05
    start = identity if hidden == "identity" else torch.full_like(identity, 0.5)
    assert (face - start)[:, :, 16:].abs().mean() < 0.1


def test_what_is_kept_of_the_identity_reference_is_said_pixel_by_pixel() -> None:
    """With its last channel far up all of the hidden half is drawn, far down all of it is kept."""
    audio, identity, pose = batch(2)
    generator = Generator(TINY).requires_grad_(False)
    head = generator.decoder.head
    head.weight[3:] = 0
    head.weight[:3] *= 50
    faces = {}
    for level in (-40.0, 0.0, 40.0):
        head.bias[3] = level
        faces[level] = generator(audio, identity, pose)
    torch.testing.assert_close(faces[-40.0][:, :, 16:], identity[:, :, 16:])
    assert (faces[40.0] - identity)[:, :, 16:].abs().mean() > 0.1
    kept = torch.sigmoid(torch.tensor(KEPT))
    mixed = kept * faces[-40.0] + (1 - kept) * faces[40.0]
    torch.testing.assert_close(faces[0.0][:, :, 16:], mixed[:, :, 16:])
    for level in (-40.0, 40.0):
        assert torch.equal(faces[level][:, :, :16], faces[0.0][:, :, :16]), "where the pose is shown nothing is kept"


def test_every_mel_column_and_both_references_reach_the_mouth(generator: Generator) -> None:
    inputs = [part.requires_grad_() for part in batch(1)]
    (generator(*inputs)[:, :, 16:] * torch.linspace(0, 1, 3 * 16 * 32).view(1, 3, 16, 32)).sum().backward()
    audio, identity, pose = (part.grad for part in inputs)
    assert audio is not None
    assert identity is not None
    assert pose is not None
    assert (audio.abs().amax(dim=(0, 1)) > 0).all()  # every band of every column
    assert (identity.abs().amax(dim=(0, 1)) > 0).all()
    assert (pose.abs().amax(dim=(0, 1))[:16] > 0).all()
    assert pose[:, :, 16:].abs().max() == 0


def test_loudness_is_not_normalised_away(generator: Generator) -> None:
    _, identity, pose = batch(1)
    silence, noise = torch.full((1, 1, 80, 16), -4.0), torch.full((1, 1, 80, 16), 2.0)
    with torch.no_grad():
        difference = generator(silence, identity, pose) - generator(noise, identity, pose)
    assert difference[:, :, 16:].abs().mean() > 1e-3


def test_a_face_is_the_same_alone_and_in_a_batch_in_training_and_evaluation(generator: Generator) -> None:
    audio, identity, pose = batch(3)
    with torch.no_grad():
        together = generator.train()(audio, identity, pose)
        alone = generator.eval()(audio[1:2], identity[1:2], pose[1:2])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-5)


def test_enlarging_leaves_a_flat_map_flat_where_a_transposed_convolution_does_not(generator: Generator) -> None:
    flat = torch.ones(1, 16, 12, 12)
    enlarged = generator.decoder.scales[0].join[0](
        torch.cat([F.interpolate(generator.decoder.narrow[0](flat), scale_factor=2), torch.zeros(1, 16, 24, 24)], dim=1)
    )
    inside = enlarged[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(inside, inside[:, :, :1, :1].expand_as(inside), rtol=0, atol=1e-5)
    transposed = torch.nn.ConvTranspose2d(16, 16, 3, 2, 1, output_padding=1)(flat)[:, :, 2:-2, 2:-2]
    assert transposed.std(dim=(2, 3)).max() > 0.01


def test_gradient_reaches_every_parameter(generator: Generator) -> None:
    net = Generator(TINY)
    (net(*batch(2)) * torch.rand(2, 3, 32, 32)).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert dead == []


def test_a_few_steps_fit_one_window_and_the_sound_is_used() -> None:
    net = Generator(TINY)
    audio, identity, pose = batch(4)
    identity, pose = torch.full((2, 4, 3, 32, 32), 0.5)  # only the sound differs
    shades = torch.tensor([0.2, 0.4, 0.6, 0.8])
    truth = shades[:, None, None, None].expand(4, 3, 32, 32)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = F.l1_loss(net(audio, identity, pose), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.08 < 0.15 < losses[0]  # 0.2 is the best that can be done without listening


def test_colour_order_is_kept() -> None:
    crops = np.zeros((1, 4, 4, 3), np.uint8)
    crops[..., 0] = 255  # red
    tensor = faces_to_tensor(crops)
    assert torch.equal(tensor[0, 0], torch.ones(4, 4))
    assert tensor[0, 1:].max() == 0
    np.testing.assert_array_equal(tensor_to_faces(tensor), crops)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_faces_survive_the_way_to_tensors_and_back(seed: int) -> None:
    crops = np.random.default_rng(seed).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(tensor_to_faces(faces_to_tensor(crops)), crops)


def test_same_seed_same_weights_and_no_trace_in_the_global_generator() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = Generator(TINY, seed=3), Generator(TINY, seed=3), Generator(TINY, seed=4)
    assert torch.equal(torch.rand(1), expected)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.decoder.head.weight, other.decoder.head.weight)


def test_runs_in_bfloat16_and_answers_in_float32(generator: Generator) -> None:
    inputs = batch(2)
    with torch.no_grad():
        exact = generator(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rough = generator(*inputs)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.01


# ---- sound --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(-4, 2), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_mel_windows_equal_a_plain_loop(columns: int, frames: list[int], start: int, seed: int) -> None:
    mel = np.random.default_rng(seed).uniform(-4, 4, (80, columns)).astype(np.float32)
    windows = mel_windows(mel, frames, start)
    assert windows.shape == (len(frames), 1, 80, 16)
    for window, frame in zip(windows, frames, strict=True):
        first = int(np.floor(80 * (frame + start) / 25))
        for j in range(16):
            there = 0 <= first + j < columns
            expected = mel[:, first + j] if there else np.full(80, SILENCE, np.float32)
            np.testing.assert_array_equal(window[0, :, j], expected)


def test_generator_hears_the_middle_of_its_frame_in_the_middle_of_the_window(generator: Generator) -> None:
    sound = np.zeros(50 * 640, np.float32)
    frame = 20
    sound[frame * 640 + 320] = 1  # a click in the middle of the frame
    window = mel_windows(log_mel(sound), [frame], generator.audio_start)[0, 0]
    loud = (window > SILENCE + 0.1).any(dim=0).nonzero().flatten().float()
    assert loud.mean() == pytest.approx(7.5, abs=1)


def test_mel_of_another_shape_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"expected \(80, M\)"):
        mel_windows(np.zeros((10, 80), np.float32), [0], 0)


# ---- identity references ------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 12), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_identity_is_never_the_target_nor_a_neighbour(n_frames: int, length: int, gap: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    starts = np.arange(max(1, n_frames - length + 1))
    far = [any(i < s - gap or i > s + length - 1 + gap for i in range(n_frames)) for s in starts]
    if n_frames < length or not all(far):
        with pytest.raises(FeatureError):
            draw_identity_frames(starts, length, n_frames, random, gap)
        return
    drawn = draw_identity_frames(starts, length, n_frames, random, gap)
    for start, identity in zip(starts, drawn, strict=True):
        assert 0 <= identity < n_frames
        assert min(abs(identity - t) for t in range(start, start + length)) > gap


def test_identity_is_drawn_evenly_and_by_the_seed() -> None:
    starts = np.full(4000, 8)
    drawn = draw_identity_frames(starts, 3, 20, np.random.default_rng(0), gap=2)
    counts = np.bincount(drawn, minlength=20)
    assert set(np.flatnonzero(counts)) == {*range(6), *range(13, 20)}
    assert counts[counts > 0].min() > 0.7 * 4000 / 13
    np.testing.assert_array_equal(drawn, draw_identity_frames(starts, 3, 20, np.random.default_rng(0), gap=2))


@given(st.integers(0, 60), st.integers(0, 8), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_steady_identity_changes_twice_at_most_and_is_never_near(n_frames: int, gap: int, seed: int) -> None:
    rank = np.random.default_rng(seed).uniform(size=n_frames)
    if n_frames < 2 * gap + 2:
        with pytest.raises(FeatureError, match="still picture"):
            steady_identity_frames(rank, gap)
        return
    chosen = steady_identity_frames(rank, gap)
    assert (np.abs(chosen - np.arange(n_frames)) > gap).all()
    assert np.count_nonzero(np.diff(chosen)) <= 2
    paired = [i for i in range(n_frames) if max(i, n_frames - 1 - i) > 2 * gap]
    best = min(paired, key=lambda i: rank[i])
    assert (chosen == best).sum() == (np.abs(np.arange(n_frames) - best) > gap).sum()


def test_a_best_frame_in_the_middle_of_a_short_clip_gives_way_to_a_pair() -> None:
    rank = np.abs(np.arange(30) - 14.0)  # every frame lies within 20 of the best one
    chosen = steady_identity_frames(rank, 10)
    assert set(chosen) == {8, 29}
    assert (np.abs(chosen - np.arange(30)) > 10).all()


# ---- a clip -------------------------------------------------------------------------------------------------------


def test_clip_inputs_are_the_crops_and_the_sound_of_their_frames() -> None:
    clip, track = tiny_experts.clip(30), tiny_experts.track(4, 28)
    generator = Generator(TINY)
    made = ClipInputs.of(clip, track, generator)
    frames, identity = np.array([0, 9, 23]), np.array([23, 0, 3])
    audio, identity_reference, pose_reference = made.inputs(frames, identity, audio_start=-2)
    crops = face_crops(clip, track, generator_boxes(track), 32)
    np.testing.assert_array_equal(tensor_to_faces(pose_reference), made.faces[frames])
    assert np.abs(made.faces.astype(int) - crops).mean() < 1  # cut from the wide crop, whose grid is read 1/32 off
    np.testing.assert_array_equal(tensor_to_faces(identity_reference), made.identity(frames, identity))
    mel = log_mel(clip.audio)
    # row 9 of the track is frame 13 of the clip; its sound begins at frame 11, column floor(35.2)
    np.testing.assert_array_equal(audio[1, 0], mel[:, 35:51])
    # row 0 is frame 4: what is heard before the track begins is there
    np.testing.assert_array_equal(audio[0, 0], mel[:, 6:22])
    generator(audio, identity_reference, pose_reference)
    with pytest.raises(CropError, match="another clip"):
        ClipInputs.of(clip.trim(0, 20), track, generator)


def test_faces_of_another_type_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"expected uint8 \(N, S, S, 3\)"):
        faces_to_tensor(np.zeros((1, 4, 4, 3), np.float32))  # type: ignore[arg-type]


# ---- files --------------------------------------------------------------------------------------------------------


def test_saved_generator_loads_from_its_file_and_folder(generator: Generator, tmp_path: Path) -> None:
    card = {"kind": "generator", "config": dataclasses.asdict(TINY)}
    path = save_weights(generator.state_dict(), tmp_path / "tiny.safetensors", card)
    inputs = batch(2)
    for source in (path, tmp_path):
        loaded = load_generator(source)
        assert isinstance(loaded, Generator)
        assert loaded.config == TINY
        assert not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        with torch.no_grad():
            assert torch.equal(loaded(*inputs), generator(*inputs))


def test_half_precision_file_is_used_in_single(generator: Generator, tmp_path: Path) -> None:
    half = {key: value.half() for key, value in generator.state_dict().items()}
    card = {"kind": "generator", "config": dataclasses.asdict(TINY)}
    loaded = load_generator(save_weights(half, tmp_path / "tiny.safetensors", card))
    inputs = batch(1)
    with torch.no_grad():
        face = loaded(*inputs)
        assert face.dtype == torch.float32
        assert (face - generator(*inputs)).abs().max() < 0.01


def test_other_weights_and_configurations_are_refused(generator: Generator, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights are called"):
        load_generator("no-such-generator")
    _, sync = tiny_experts.save(tmp_path)
    with pytest.raises(CheckpointError, match="weights of syncnet, which draws no faces"):
        load_generator(sync)
    other = dataclasses.asdict(dataclasses.replace(TINY, widths=(16, 32, 32)))
    path = save_weights(generator.state_dict(), tmp_path / "a.safetensors", {"kind": "generator", "config": other})
    with pytest.raises(CheckpointError, match="of another shape"):
        load_generator(path)
    unknown = {**dataclasses.asdict(TINY), "depth": 3}
    path = save_weights(generator.state_dict(), tmp_path / "b.safetensors", {"kind": "generator", "config": unknown})
    with pytest.raises(CheckpointError, match="depth"):
        load_generator(path)
    path = save_weights(generator.state_dict(), tmp_path / "c.safetensors", {"kind": "generator"})
    with pytest.raises(CheckpointError, match="config"):
        load_generator(path)
