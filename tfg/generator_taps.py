"""What a generator computes on its way to a face: sizes of its maps, who passes them to whom, and what they cost.

Hooks read the arrays that the network itself passes on; nothing is computed a second time by other code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tfg.errors import FeatureError
from tfg.experts.lip_expert import BANDS, COLUMNS
from tfg.experts.taps import hooked
from tfg.generator import Generator, share_kept
from tfg.generator_inputs import GeneratorInputs
from tfg.wav2lip import Wav2LipGenerator

Shape = tuple[int, ...]  # channels, rows, columns


@dataclass(frozen=True)
class Flow:
    """One forward pass of a :class:`tfg.generator.Generator`. Scales run from the finest to the coarsest.

    ``identity``, ``pose``, ``decoder``: the shape of each scale's map. ``sound``: the audio encoder's input and maps.
    ``embedding``: size of the sound embedding. ``joined``: which of ``pose``, ``below``, ``identity`` each scale of the
    decoder was given. ``heard``: how often the sound changes the map of each.
    """

    identity: tuple[Shape, ...]
    pose: tuple[Shape, ...]
    decoder: tuple[Shape, ...]
    sound: tuple[Shape, ...]
    embedding: int
    joined: tuple[tuple[str, ...], ...]
    heard: tuple[int, ...]


@torch.no_grad()
def flow(generator: Generator, inputs: GeneratorInputs) -> Flow:
    """Draw faces and watch.

    :raises FeatureError: inputs of a wrong shape.
    """
    decoder = generator.decoder
    given: dict[int, Sequence[Tensor]] = {}
    made: dict[str, Sequence[Tensor]] = {}
    maps: dict[int, Shape] = {}
    heard = dict.fromkeys(range(len(decoder.scales)), 0)
    sound = [_shape(inputs.audio)]
    embedding = 0

    def scale(i: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, arguments: Any, output: Tensor) -> None:
            given[i], maps[i] = arguments[0], _shape(output)

        return hook

    def encoder(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Sequence[Tensor]) -> None:
            made[name] = output

        return hook

    def modulated(i: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(*_: Any) -> None:
            heard[i] += 1

        return hook

    def audio(_: nn.Module, __: Any, output: Tensor) -> None:
        if _shape(output) != sound[-1]:
            sound.append(_shape(output))

    def embed(_: nn.Module, __: Any, output: Tensor) -> None:
        nonlocal embedding
        embedding = output.shape[1]

    hooks: dict[nn.Module, Callable[..., None]] = {
        generator.identity_encoder: encoder("identity"),
        generator.pose_encoder: encoder("pose"),
        generator.audio_encoder.project: embed,
    }
    hooks |= {layer: audio for layer in generator.audio_encoder.convolutions}
    for i, each in enumerate(decoder.scales):
        hooks[each] = scale(i)
        hooks |= {layer: modulated(i) for layer in each.modules() if isinstance(layer, nn.Linear)}
    with hooked(hooks):
        generator(*inputs)
    source = {x.data_ptr(): name for name, maps_of in made.items() for x in maps_of}
    return Flow(
        identity=tuple(_shape(x) for x in made["identity"]),
        pose=tuple(_shape(x) for x in made["pose"]),
        decoder=tuple(maps[i] for i in range(len(decoder.scales))),
        sound=tuple(sound),
        embedding=embedding,
        joined=tuple(
            tuple(source.get(x.data_ptr(), "below") for x in given[i]) for i in range(len(decoder.scales))
        ),
        heard=tuple(heard.values()),
    )  # fmt: skip


@torch.no_grad()
def decoder_maps(generator: Generator, inputs: GeneratorInputs) -> list[Tensor]:
    """The map after each scale of the decoder, ``(N, C, h, w)``, finest first.

    :raises FeatureError: inputs of a wrong shape.
    """
    found: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, _: Any, output: Tensor) -> None:
        found[module] = output.detach().clone()

    with hooked(dict.fromkeys(generator.decoder.scales, keep)):
        generator(*inputs)
    return [found[scale] for scale in generator.decoder.scales]


def kept(generator: Generator, inputs: GeneratorInputs) -> Tensor:
    """How much of the identity reference is kept where, ``(N, S, S)`` in [0, 1]: :func:`tfg.generator.share_kept`.

    :raises FeatureError: inputs of a wrong shape, or a generator that keeps nothing.
    """
    if generator.config.hidden != "identity":
        raise FeatureError(f"the generator's hidden half is {generator.config.hidden!r}; expected 'identity'")
    found: list[Tensor] = []
    with hooked({generator.decoder: lambda _, __, output: found.append(output.detach().float())}):
        generator(*inputs)
    return share_kept(found[0])[:, 0]


def cost(build: Callable[[], Generator | Wav2LipGenerator]) -> dict[str, float]:
    """Pixels, parameters and operations of one face; nothing is computed.

    :param build: makes the generator; it is called on the ``meta`` device.
    :returns: ``pixels``; ``parameters`` in millions; ``gflops``, a multiplication and an addition counted as two.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = build().eval()
        size = net.image_size
        net(torch.zeros(1, 1, BANDS, COLUMNS), torch.zeros(1, 3, size, size), torch.zeros(1, 3, size, size))
    parameters = sum(p.numel() for p in net.parameters())
    return {"pixels": size, "parameters": parameters / 1e6, "gflops": counter.get_total_flops() / 1e9}


def _shape(x: Tensor) -> Shape:
    return tuple(x.shape[1:])
