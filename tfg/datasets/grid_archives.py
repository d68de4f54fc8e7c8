"""GRID from its published archives: fetched or found, checked against the published hashes, unpacked.

Zenodo 3625687 holds ``s1.zip`` .. ``s34.zip`` (not ``s21.zip``; MPEG-1 videos with sound, about 0.4 GB each),
``alignments.zip``, and ``audio_25k.zip``, which is not needed: its files are cut to the speech and out of step with
the videos. An archive whose hash is unknown or does not match is refused; the others go on.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

from rich.progress import track as progress

from tfg.datasets import grid
from tfg.errors import DataError

RECORD = "doi:10.5281/zenodo.3625687"
TALKERS = tuple(f"s{number}" for number in range(1, 35) if number != 21)
ALIGNMENTS = "alignments.zip"
SUMS = "md5sums.txt"

# What the record publishes, as quoted by github.com/myx931/lowband-av-semcom (scripts/data/
# download_grid_instructions.py); the others are asked from the record itself, see `published`.
MD5 = {
    "s1.zip": "cbd6556668f061b5c3681bc722659b39",
    "s2.zip": "36e513652d9abec68c721221ede557df",
    "s3.zip": "b854132feecda313f0a0c6145131d693",
    "s4.zip": "1bb4543ca0a27fe76e2874845468a016",
    "s5.zip": "895d17182889324dd2453aff0ae49083",
    "s6.zip": "e82a4330653ed81d00c0d2738431e6e7",
    "s7.zip": "ff31aaddf10bbe345aa1a8434b205fd5",
    "s8.zip": "af52367c91e96c20cabb0820046dbd73",
    "s9.zip": "602221e579190b7cb393b4b86a4228bc",
    "s10.zip": "628b4df6915b379e2c050512f661fa04",
}

_VIDEO = re.compile(r"(?:^|/)(s\d+)/(\w+)\.(mpg|mp4)$")
_ALIGN = re.compile(r"(?:^|/)(s\d+)/(\w+)\.align$")
_SAME = 0.5  # of a talker's sentences must be in a folder of alignments; other talkers share about 2 in 100


def read_md5(path: Path) -> dict[str, str]:
    """A file as ``md5sum`` writes it: archive -> hash.

    :raises DataError: no such file, or a line that is not ``hash  name``.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected hashes as 'md5sum *.zip' writes them")
    result = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"([0-9a-fA-F]{32})\s+\*?(\S+)", line.strip())
        if not found:
            raise DataError(f"{path}, line {number}: found {line!r}, expected 'hash  s1.zip' as md5sum writes it")
        result[Path(found[2]).name] = found[1].lower()
    return result


def published() -> dict[str, str]:
    """Ask Zenodo's record for the hashes of its files: archive -> MD5.

    :raises DataError: the record cannot be reached.
    """
    import pooch
    from requests.exceptions import RequestException

    record = pooch.create(path=".", base_url=RECORD)
    try:
        record.load_registry_from_doi()
    except (RequestException, ValueError, KeyError) as error:
        raise DataError(
            f"{RECORD.removeprefix('doi:')}: its hashes could not be asked from Zenodo ({type(error).__name__}); try "
            "again later, or copy them from the record's page into a file and pass --md5-file"
        ) from error
    return {name: checksum.removeprefix("md5:") for name, checksum in record.registry.items()}


def hashes(names: Iterable[str], folder: Path, md5_file: Path | None = None) -> tuple[dict[str, str], str]:
    """The hashes to check archives with, and why some are missing ("" if none is).

    From ``md5_file``, else from ``folder/md5sums.txt``; else from :data:`MD5` and, for what is not there, from the
    record, whose answer is kept as ``folder/md5sums.txt``.

    :raises DataError: a file of hashes is damaged.
    """
    given = md5_file or (folder / SUMS if (folder / SUMS).is_file() else None)
    if given:
        return read_md5(given), f"{given} does not name it"
    if set(names) <= set(MD5):
        return dict(MD5), ""
    try:
        found = published()
    except DataError as error:
        return dict(MD5), str(error)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / SUMS, "".join(f"{checksum}  {name}\n" for name, checksum in sorted(found.items())).encode())
    return found, "the record does not have it"


def unpack(
    talkers: Iterable[str], folder: Path, corpus: Path, *, download: bool = False, md5_file: Path | None = None
) -> dict[str, str]:
    """Make or complete a corpus from archives; talkers already unpacked from the same archive are kept.

    :param talkers: ``"s1"``, ...
    :param folder: where the archives are, or go.
    :param corpus: receives ``s1/*.mpg``, ``align/s1/*.align``, ...
    :param download: fetch what is not in ``folder``, or damaged there.
    :returns: archive -> reason, for those that were refused.
    :raises DataError: a talker whom the record does not have, or a damaged file of hashes.
    """
    wanted = list(dict.fromkeys(talkers))
    unknown = sorted(set(wanted) - set(TALKERS))
    if unknown:
        raise DataError(f"GRID's record has no talker {unknown[0]!r}; expected s1 to s34, without s21 (no videos)")
    names = [*(f"{talker}.zip" for talker in wanted), ALIGNMENTS]
    md5, why = hashes(names, folder, md5_file)
    rejected: dict[str, str] = {}
    for name in progress(names, description="archives"):
        try:
            if name not in md5:
                raise DataError(f"its published hash is not known here: {why}")
            stamp = corpus / f".{name}.md5"
            if name != ALIGNMENTS and stamp.is_file() and stamp.read_text() == md5[name]:
                continue
            _check(folder / name, md5[name], download)
            if name == ALIGNMENTS:
                rejected |= _unpack_alignments(folder / name, corpus)
            else:
                _unpack_videos(folder / name, name.removesuffix(".zip"), corpus)
                _write(stamp, md5[name].encode())
        except (DataError, OSError, zipfile.BadZipFile) as error:
            rejected[name] = str(error)
    return rejected


def _check(path: Path, md5: str, download: bool) -> None:
    """Fetch an archive if need be and allowed; refuse it if its hash is another one."""
    import pooch
    from requests.exceptions import RequestException

    if download:
        try:  # pooch keeps a file whose hash is right, and puts a new one in place only when its hash is right
            fetch = pooch.DOIDownloader(progressbar=True)
            pooch.retrieve(f"{RECORD}/{path.name}", f"md5:{md5}", path.name, path.parent, downloader=fetch)
        except (RequestException, ValueError) as error:
            raise DataError(f"not fetched from {RECORD.removeprefix('doi:')}: {error}") from error
        return
    if not path.is_file():
        raise DataError(f"{path} does not exist: put it there, or let it be fetched with --download")
    found = pooch.file_hash(str(path), alg="md5")
    if found != md5:
        raise DataError(f"{path}: its MD5 is {found}, published is {md5}: fetch it again, or use --download")


def _members(archive: zipfile.ZipFile, pattern: re.Pattern[str]) -> list[tuple[str, str, str]]:
    """Of every member that the pattern fits (others are leftovers such as ``.DS_Store``): folder, code, member."""
    found = [(pattern.search(name), name) for name in archive.namelist() if "__MACOSX" not in name]
    return [(match[1], match[2], name) for match, name in found if match]


def _unpack_videos(path: Path, talker: str, corpus: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in _members(archive, _VIDEO) if member[0] == talker]
        if not members:
            raise DataError(f"{path} holds no video {talker}/*.mpg; expected GRID's archive of that talker")
        for _, code, member in members:
            target = corpus / talker / f"{code}{Path(member).suffix}"
            if not (target.is_file() and target.stat().st_size == archive.getinfo(member).file_size):
                _write(target, archive.read(member))


def _unpack_alignments(path: Path, corpus: Path) -> dict[str, str]:
    """Alignments for every talker that is there; the published folders do not all bear their talker's name (lhotse
    pull request 1502), so each talker gets the folder that holds his sentences."""
    rejected = {}
    with zipfile.ZipFile(path) as archive:
        folders: dict[str, dict[str, str]] = {}
        for name, code, member in _members(archive, _ALIGN):
            folders.setdefault(name, {})[code] = member
        if not folders:
            raise DataError(f"{path} holds no s1/*.align; expected GRID's archive of alignments")
        for talker in grid.speakers(corpus):
            target = corpus / "align" / talker
            if target.is_dir():
                continue
            codes = {clip.code for clip in grid.clips(talker, corpus)}
            best = max(folders.values(), key=lambda members: len(codes & members.keys()))
            if len(codes & best.keys()) < _SAME * len(codes):
                rejected[f"{ALIGNMENTS} ({talker})"] = f"{path}: no folder holds the sentences of {talker}"
                continue
            partial = target.with_name(f".{talker}.{os.getpid()}.partial")
            for code, member in best.items():
                _write(partial / f"{code}.align", archive.read(member))
            shutil.rmtree(target, ignore_errors=True)
            os.replace(partial, target)
    return rejected


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)
