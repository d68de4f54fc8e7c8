"""Checkpoints of the experts: read without executing anything, written as safetensors with a json card.

A PyTorch checkpoint is a pickle, that is, a program; reading one by the ordinary route runs it. Here it is read by
PyTorch's restricted unpickler, which can build tensors and plain containers. Released AV-HuBERT files also hold
objects of fairseq (dictionaries, tokenizers); these become :class:`_Inert` dummies, so neither fairseq is needed nor
code runs. Anything else is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import pickletools
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tfg.errors import CheckpointError, UnsafeCheckpointError
from tfg.experts.architecture import Architecture, recognise

#: Classes found in released checkpoints whose content no expert needs: read as dummies, never imported.
INERT = (
    "argparse.Namespace",
    "fairseq.data.dictionary.Dictionary",
    "fairseq.data.encoders.sentencepiece_bpe.SentencepieceBPE",
    "fairseq.logging.meters.AverageMeter",
    "fairseq.logging.meters.StopwatchMeter",
    "fairseq.logging.meters.TimeMeter",
    "fairseq.meters.AverageMeter",
    "fairseq.meters.StopwatchMeter",
    "fairseq.meters.TimeMeter",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "sentencepiece.SentencePieceProcessor",
)
#: Where training code puts the weights; a file without any of these is taken to be the weights themselves.
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_HARMLESS = re.compile(
    r"torch\._utils\.\w+|torch\.(\w+\.)?\w*Storage|torch\.Size|collections\.OrderedDict|_codecs\.encode"
)


@dataclass(frozen=True)
class Checkpoint:
    """What :func:`read_checkpoint` finds in a file.

    :ivar state_dict: name -> tensor on the CPU, as stored (released files may hold half precision); a ``module.``
        prefix left by data-parallel training is removed.
    :ivar config: the training configuration found in the file, as what json can hold; ``{}`` if none.
    :ivar source: the path it was read from.
    :ivar sha256: of the file.
    :ivar kind: ``avhubert``, ``syncnet``, ``lip_expert`` (Wav2Lip's colour SyncNet), ``wav2lip`` (its generator), or
        what the card of one of our own files says.
    :ivar variant: of AV-HuBERT: ``pretrain``, ``seq2seq``, ``ctc``; else "".
    :ivar size: ``mini``, ``base``, ``large``, ``v2``; "" when the sizes are none of those.
    :ivar card: the json beside the file, when it is a card (has a ``sha256``); ``{}`` if there is none.
    """

    state_dict: dict[str, Tensor]
    config: dict[str, Any]
    source: str
    sha256: str
    kind: str
    variant: str = ""
    size: str = ""
    card: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | os.PathLike[str], expect: str | None = None) -> Checkpoint:
    """Read weights from ``.pt``, ``.pth``, ``.model``, ``.ckpt`` or ``.safetensors``, executing nothing.

    The format is told by the content, not by the suffix.

    :param path: the file.
    :param expect: refuse any other ``kind`` than this one.
    :raises UnsafeCheckpointError: the file asks for functions or classes that are not tensors or plain containers;
        they are named.
    :raises CheckpointError: no such file, truncated, not a checkpoint, of an unknown architecture, of another kind
        than ``expect``, or different from what its card says.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint (.pt, .pth, .model, .ckpt, .safetensors)")
    digest = file_sha256(path)
    card = _read_card(path, digest)
    if _is_safetensors(path):
        state, config = _read_safetensors(path), card.get("config", {})
    else:
        state, config = _unwrap(path, _read_pickle(path))
    found = recognise(state) or (Architecture(card["kind"]) if card.get("kind") else None)
    if found is None:
        raise CheckpointError(
            f"{path}: {len(state)} tensors ({_some(list(state))}) of an architecture that is not known here; expected "
            "AV-HuBERT, SyncNet, or Wav2Lip's SyncNet or generator under their released names"
        )
    if card.get("kind", found.kind) != found.kind:
        raise CheckpointError(f"{path}: the card says {card['kind']}, the weights are those of {found.kind}")
    if expect is not None and found.kind != expect:
        raise CheckpointError(f"{path}: these are weights of {found.kind}; expected {expect}")
    return Checkpoint(state, config, str(path), digest, found.kind, found.variant, found.size, card)


def save_weights(state_dict: Mapping[str, Tensor], path: str | os.PathLike[str], card: Mapping[str, Any]) -> Path:
    """Write weights as safetensors, and beside them, as ``.json``, a card that says what they are.

    :param path: must end in ``.safetensors``; folders are created.
    :param card: anything json can hold: ``kind``, ``config``, licence, data, scores. ``sha256`` and ``bytes`` of the
        weights are added, and checked when they are read.
    :returns: the path written. Both files appear only when complete.
    :raises CheckpointError: another suffix, or a card that json cannot hold.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: weights are written as safetensors; choose a name that ends in .safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    # safetensors refuses views of one storage (tied or memory-mapped weights): each tensor gets its own
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state_dict.items()}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        weights, text = Path(folder, "weights"), Path(folder, "card")
        save_file(tensors, weights)
        full = {**card, "sha256": file_sha256(weights), "bytes": weights.stat().st_size}
        try:
            text.write_text(json.dumps(full, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except TypeError as error:
            raise CheckpointError(f"{path}: the card cannot be written as json: {error}") from error
        weights.chmod(text.stat().st_mode)  # safetensors writes for the owner alone
        os.replace(weights, path)
        os.replace(text, path.with_suffix(".json"))
    return path


def convert(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Turn a released checkpoint into safetensors plus a card: smaller (no optimiser state), and safe to share by hand.

    :param path: what :func:`read_checkpoint` reads. Its licence goes on to bind the result.
    :param out: ends in ``.safetensors``.
    :returns: the path written.
    :raises CheckpointError: see :func:`read_checkpoint`, :func:`save_weights`.
    """
    read = read_checkpoint(path)
    return save_weights(
        read.state_dict,
        out,
        {
            "kind": read.kind,
            "variant": read.variant,
            "size": read.size,
            "config": read.config,
            "converted_from": {"file": Path(read.source).name, "sha256": read.sha256},
            "licence": read.card.get("licence", "that of the file it was converted from"),
        },
    )


def load_strict(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load ``state`` into ``module`` when every name and shape fits, else say which do not.

    :param what: name of the architecture, for the message.
    :raises CheckpointError: names missing, names unknown, or shapes that differ; the module is left as it was.
    """
    own = module.state_dict()
    # checkpoints older than PyTorch 0.4.1 lack the batch counters, which evaluation does not use
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = [
        f"{len(names)} {label} ({_some(names)})"
        for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"these weights are not those of {what}: of {len(own)} entries expected and {len(state)} found, "
            f"{'; '.join(problems)}. Check that the file and the configuration belong together"
        )
    module.load_state_dict({**own, **state})


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- reading ------------------------------------------------------------------------------------------------------


class _Inert:
    """Stands for an object of a class that is not needed and not imported; keeps its content, does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.content: object = None

    def __setstate__(self, state: object) -> None:
        self.content = state


def _read_pickle(path: Path) -> object:
    with open(path, "rb") as file:
        start = file.read(64)
    zipped = start.startswith(b"PK\x03\x04")
    if not zipped and not start.startswith(b"\x80"):
        raise CheckpointError(
            f"{path} is not a checkpoint: it starts with {start[:24]!r}{_looks_like(start)}; expected a PyTorch file "
            "or safetensors"
        )
    if zipped and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is truncated: the directory at its end is missing; copy or download it again")
    stubs: list[Any] = [(type(name.rpartition(".")[2], (_Inert,), {}), name) for name in INERT]
    try:
        with torch.serialization.safe_globals(stubs), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of, it then refuses
            # memory-mapped: the optimiser state, two thirds of a training checkpoint, is never read from the disk
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # the unpickler raises whatever a malformed stream leads it to
        asked = sorted(name for name in _globals(path) if name not in INERT and not _HARMLESS.fullmatch(name))
        if asked:
            raise UnsafeCheckpointError(
                f"{path} is refused: to read it, Python would have to call {', '.join(asked)}. Expected only tensors, "
                "numbers, strings and containers of them. Ask its author for a plain state dict or safetensors"
            ) from error
        raise CheckpointError(
            f"{path} is truncated or damaged ({_one_line(error)}); copy or download it again"
        ) from error


def _globals(path: Path) -> set[str]:
    """Names of all functions and classes that the pickles in a file ask for, found without running them."""
    names: set[str] = set()
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(".pkl"):
                        with archive.open(member) as stream:
                            names.update(_globals_in(stream))
        else:
            with open(path, "rb") as stream:
                while True:  # the old format is several pickles, then raw numbers, where this ends with an error
                    names.update(_globals_in(stream))
    except (ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError, UnicodeDecodeError, OSError):
        pass  # what was found before the damage is what there is to report
    return names


def _globals_in(stream: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "GLOBAL" and isinstance(argument, str):
            yield argument.replace(" ", ".", 1)
        elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
            yield f"{strings[-2]}.{strings[-1]}"
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif opcode.name in ("BINPUT", "LONG_BINPUT", "PUT") and argument is not None:
            memo[int(argument)] = strings[-1] if strings else ""
        elif opcode.name in ("BINGET", "LONG_BINGET", "GET") and argument is not None:
            strings.append(memo.get(int(argument), ""))
        elif isinstance(argument, str):
            strings.append(argument)


def _unwrap(path: Path, content: object) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected a dict of tensors")
    wrapper = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
    inner = content[wrapper] if wrapper else content
    state = {str(key).removeprefix("module."): value for key, value in inner.items() if isinstance(value, Tensor)}
    if not state:
        raise CheckpointError(f"{path} holds no tensors, only {_some([str(key) for key in content])}; expected weights")
    settings = content.get("cfg") or content.get("args") if wrapper else None
    return state, _plain(settings) if settings else {}


def _plain(value: Any) -> Any:
    """What json can hold of ``value``; dummies become their content."""
    if isinstance(value, _Inert):
        return _plain(value.content)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _is_safetensors(path: Path) -> bool:
    with open(path, "rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (
        start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({_one_line(error)}); copy or download it again"
        ) from error


def _read_card(path: Path, digest: str) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        card = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{beside}: the card of {path.name} is not json ({error})") from error
    if not isinstance(card, dict) or "sha256" not in card:
        return {}  # some other json of that name
    if card["sha256"] != digest:
        raise CheckpointError(
            f"{path} has SHA-256 {digest}, but its card {beside.name} was written for {card['sha256']}: one of the two "
            "is damaged or belongs elsewhere; copy both again"
        )
    return card


def _looks_like(start: bytes) -> str:
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return " (a web page: the download went wrong)"
    if start.startswith(b"version https://git-lfs"):
        return " (a Git LFS pointer: fetch the file itself)"
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
