"""Weights by name: what there is, where it comes from, under which licence, and how to get it.

The mini experts come with the package. Released weights belong to their authors: nothing is downloaded before the
licence has been accepted in so many words, and a path to a file you already hold works wherever a name does.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tfg.errors import WeightsError
from tfg.experts.checkpoints import file_sha256

_AVHUBERT_LICENCE = (
    "AV-HuBERT License Agreement (Meta Platforms): non-commercial research use only; no use for biometric processing "
    "or surveillance; no reverse engineering; the agreement goes with every copy and derivative. This is a summary: "
    "read the agreement itself."
)
_AVHUBERT_LICENCE_URL = "https://github.com/facebookresearch/av_hubert/blob/main/LICENSE"
_AVHUBERT = "https://dl.fbaipublicfiles.com/avhubert/model/"
_OWN_LICENCE = "MIT, as this package. Trained by us; the card beside the weights names the data and the scores."


@dataclass(frozen=True)
class Weights:
    """One entry of the registry.

    :ivar name: what :func:`get_weights` takes.
    :ivar kind: ``avhubert``, ``syncnet``, ``lip_expert``, ``wav2lip`` (a generator) or ``inception`` (for FID).
    :ivar purpose: what it is for.
    :ivar source: who made it, with the publication.
    :ivar licence: summary; ``licence_url`` has the text.
    :ivar size: of the download, in words; "" where not known.
    :ivar url: where it is fetched from; None when packaged or only to be had by hand.
    :ivar sha256: of the file; None where we have never seen the file and so do not vouch for a hash: the hash of
        what you download is then recorded beside it, and checked whenever it is read.
    :ivar sha256_source: who vouches for ``sha256``.
    :ivar packaged: comes with the package.
    :ivar by_hand: how to get it when there is no stable address.
    """

    name: str
    kind: str
    purpose: str
    source: str
    licence: str
    licence_url: str = ""
    size: str = ""
    url: str | None = None
    sha256: str | None = None
    sha256_source: str = "not verified by us"
    packaged: bool = False
    by_hand: str = ""

    @property
    def path(self) -> Path:
        """Where the file is, or will be after :func:`get_weights`."""
        if self.packaged:
            return Path(str(files("tfg").joinpath("assets", "weights", f"{self.name}.safetensors")))
        suffix = Path(self.url).suffix if self.url else ".pth"
        return cache_folder() / f"{self.name}{suffix}"

    @property
    def present(self) -> bool:
        """True when the file is on this machine."""
        return self.path.is_file()

    def describe(self) -> str:
        """Name, purpose, source, size and licence, as shown before a download."""
        rows = {
            "for": self.purpose,
            "from": self.source,
            "size": self.size,
            "url": self.url or "",
            "sha256": f"{self.sha256} ({self.sha256_source})" if self.sha256 else self.sha256_source,
            "licence": self.licence,
            "": self.licence_url,
        }
        shown = {key: text for key, text in rows.items() if text and not (self.packaged and key == "sha256")}
        lines = [textwrap.fill(f"{key:>8}  {text}", 100, subsequent_indent=" " * 10) for key, text in shown.items()]
        return "\n".join([self.name, *lines])


def _avhubert(name: str, path: str, size: str, purpose: str) -> Weights:
    return Weights(
        name=name,
        kind="avhubert",
        purpose=purpose,
        source="Shi, Hsu, Lakhotia, Mohamed, AV-HuBERT (ICLR 2022), https://facebookresearch.github.io/av_hubert/",
        licence=_AVHUBERT_LICENCE,
        licence_url=_AVHUBERT_LICENCE_URL,
        size=size,
        url=_AVHUBERT + path,
    )


def _wav2lip(name: str, kind: str, purpose: str, file: str, title: str) -> Weights:
    return Weights(
        name=name,
        kind=kind,
        purpose=purpose,
        source="Prajwal et al., Wav2Lip (ACM MM 2020), https://github.com/Rudrabha/Wav2Lip",
        licence="Research, academic and personal use only; commercial use is prohibited (README of its repository).",
        licence_url="https://github.com/Rudrabha/Wav2Lip#license-and-citation",
        by_hand=(
            f"its authors share {file} from a personal drive whose address changes: follow '{title}' under 'Getting "
            "the weights' in https://github.com/Rudrabha/Wav2Lip, then give the path of the file instead of the name"
        ),
    )


_ENTRIES = (
    Weights(
        name="avhubert-mini",
        kind="avhubert",
        purpose="sync loss and AVS metrics on a laptop; learning",
        source="this package",
        licence=_OWN_LICENCE,
        packaged=True,
    ),
    Weights(
        name="syncnet-mini",
        kind="syncnet",
        purpose="the SyncNet side of every comparison on a laptop; learning",
        source="this package",
        licence=_OWN_LICENCE,
        packaged=True,
    ),
    Weights(
        name="generator-mini",
        kind="generator",
        purpose="dubbing on a laptop: rendered talkers, the GRID talker it was trained on; learning",
        source="this package",
        licence=_OWN_LICENCE,
        packaged=True,
    ),
    _avhubert(
        "avhubert-large",
        "lrs3_vox/clean-pretrain/large_vox_iter5.pt",
        "",
        "published AVS numbers: large model pre-trained on LRS3 and VoxCeleb2",
    ),
    _avhubert(
        "avhubert-base",
        "lrs3_vox/clean-pretrain/base_vox_iter5.pt",
        "about 1.2 GB, as users report",
        "as avhubert-large with a third of its parameters: training with the loss",
    ),
    _avhubert(
        "avhubert-large-noise",
        "lrs3_vox/noise-pretrain/large_vox_iter5.pt",
        "about 3.9 GB, as users report",
        "pre-trained with added noise",
    ),
    _avhubert("avhubert-base-noise", "lrs3_vox/noise-pretrain/base_vox_iter5.pt", "", "pre-trained with added noise"),
    _avhubert("avhubert-large-lrs3", "lrs3/clean-pretrain/large_lrs3_iter5.pt", "", "pre-trained on LRS3 alone"),
    _avhubert("avhubert-base-lrs3", "lrs3/clean-pretrain/base_lrs3_iter5.pt", "", "pre-trained on LRS3 alone"),
    Weights(
        name="syncnet-v2",
        kind="syncnet",
        purpose="published LSE-D and LSE-C numbers",
        source="Chung, Zisserman, Out of time (ACCV workshop 2016), https://github.com/joonson/syncnet_python",
        licence="MIT, the licence of the code it is released with.",
        licence_url="https://github.com/joonson/syncnet_python/blob/master/LICENSE.md",
        size="about 55 MB",
        url="http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        sha256_source="published by several independent users of the file, not measured by us",
    ),
    _wav2lip(
        "wav2lip-expert",
        "lip_expert",
        "the sync loss that the paper compares with; training Wav2Lip",
        "lipsync_expert.pth",
        "Expert Discriminator",
    ),
    _wav2lip("wav2lip", "wav2lip", "a generator to compare with, trained without a GAN", "wav2lip.pth", "Wav2Lip"),
    _wav2lip("wav2lip-gan", "wav2lip", "a generator to compare with, sharper", "wav2lip_gan.pth", "Wav2Lip + GAN"),
    Weights(
        name="inception-fid",
        kind="inception",
        purpose="FID as it is published: features of Inception v3 in TensorFlow's release of 2015",
        source="Szegedy et al. (CVPR 2016); converted by Seitzer, https://github.com/mseitzer/pytorch-fid",
        licence="Apache-2.0, the licence of the code it is released with.",
        licence_url="https://github.com/mseitzer/pytorch-fid/blob/master/LICENSE",
        size="95.6 MB",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        sha256_source="published by several independent users of the file, not measured by us",
    ),
)


def cache_folder() -> Path:
    """Where downloads are kept: ``$TFG_CACHE/weights``, or the user's cache folder."""
    root = os.environ.get("TFG_CACHE")
    if root:
        return Path(root, "weights")
    import pooch

    return Path(pooch.os_cache("tfg"), "weights")


def list_weights() -> tuple[Weights, ...]:
    """Every named set of weights, ours first."""
    return _ENTRIES


def names() -> tuple[str, ...]:
    """The names that :func:`get_weights` takes."""
    return tuple(entry.name for entry in list_weights())


def find_weights(name: str) -> Weights:
    """The entry called ``name``.

    :raises WeightsError: no such name; the known ones are listed.
    """
    for entry in list_weights():
        if entry.name == name:
            return entry
    raise WeightsError(f"no weights are called {name!r} and no file has that path; known names: {', '.join(names())}")


def get_weights(
    name: str | os.PathLike[str], accept_licence: bool | Callable[[Weights], bool] = False, progress: bool = True
) -> Path:
    """The file with the weights called ``name``, downloaded if need be.

    :param name: a name of :func:`list_weights`, or the path of a file, which is returned as it is.
    :param accept_licence: ``True`` says that you have read and accept the licence; a function is shown the entry
        (``entry.describe()``) and answers. Asked only before a download.
    :param progress: show a progress bar.
    :returns: a path that :func:`tfg.experts.checkpoints.read_checkpoint` reads.
    :raises WeightsError: unknown name, licence not accepted, no connection, or a file with
        another hash than expected.
    """
    if Path(name).is_file():
        return Path(name)
    entry = find_weights(str(name))
    if entry.present:
        return entry.path
    if entry.packaged:
        raise WeightsError(f"{entry.path} is missing: {entry.name} should have come with the package; install it again")
    if entry.url is None:
        raise WeightsError(
            f"{entry.name} cannot be downloaded by name: {entry.by_hand}; or put it at {entry.path}\n{entry.describe()}"
        )
    accepted = accept_licence(entry) if callable(accept_licence) else accept_licence
    if not accepted:
        raise WeightsError(
            f"{entry.name} is not downloaded, because its licence has not been accepted. Read it, then run "
            f"`tfg weights get {entry.name}` or call get_weights({entry.name!r}, accept_licence=True)"
            f"\n{entry.describe()}"
        )
    return _download(entry, progress)


def _download(entry: Weights, progress: bool) -> Path:
    import pooch
    import requests

    path = entry.path
    fetch = pooch.HTTPDownloader(progressbar=progress, timeout=30)
    try:
        # pooch writes to a temporary name in the same folder, checks the hash, then renames
        pooch.retrieve(entry.url, known_hash=entry.sha256, fname=path.name, path=path.parent, downloader=fetch)
    except requests.RequestException as error:
        raise WeightsError(
            f"{entry.name}: could not download {entry.url} ({type(error).__name__}: {error}). Fetch it on a machine "
            f"that is connected, and give its path instead of the name, or put it at {path}"
        ) from error
    except ValueError as error:  # pooch's complaint about the hash
        raise WeightsError(
            f"{entry.name}: what {entry.url} sent is not the expected file ({error}). Nothing was kept; try again, and "
            "if it repeats, the file has changed: check with its authors"
        ) from error
    record = {
        "name": entry.name,
        "url": entry.url,
        "sha256": file_sha256(path),
        "sha256_expected": entry.sha256,
        "bytes": path.stat().st_size,
        "downloaded": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": entry.licence,
        "licence_url": entry.licence_url,
        "licence_accepted": True,
    }
    path.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path
