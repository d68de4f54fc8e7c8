"""``tfg score``: one video or a folder, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Scores = dict[str, Any]

_LSE = ("unbiased", "tracks", "lrs")


def score(
    video: Annotated[Path, typer.Argument(help="A video, or a folder of videos (searched with its sub-folders).")],
    reference: Annotated[
        Path | None,
        typer.Option(
            help="The real video of the same speech, or a folder of them (matched by stem): adds AVS_m, AVS_v."
        ),
    ] = None,
    expert: Annotated[
        str, typer.Option(help="AV-HuBERT: a name of `tfg weights list`, or a checkpoint.")
    ] = "avhubert-mini",
    syncnet: Annotated[str, typer.Option(help="SyncNet, likewise; `none` leaves LSE out.")] = "syncnet-mini",
    device: Annotated[str, typer.Option(help="Where the experts run: cpu, cuda, mps.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of the mismatched pairs of the chance levels.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes for a folder; as many as cores is fastest.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every number with its protocol; `-` for standard output.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write one line per clip; `-` for standard output.")
    ] = None,
) -> None:
    """Score a talking-face video: AVS_u (AV-HuBERT) and LSE-D, LSE-C (SyncNet), with delay and chance level.

    Exit code 1 when a clip of a folder could not be scored, 2 when nothing could be done.
    """
    from tfg.errors import DataError, MissingFileError
    from tfg.metrics.report import score as score_one

    if not video.exists():
        raise MissingFileError(f"{video} does not exist; expected a video or a folder of videos")
    if reference is not None and not reference.exists():
        raise MissingFileError(f"{reference} does not exist; expected the reference video or a folder of them")
    if reference is not None and reference.is_dir() != video.is_dir():
        raise DataError(f"{video} and {reference}: expected two videos or two folders")
    to_stdout = "-" in (str(json_file), str(csv_file))
    console = Console(stderr=to_stdout)
    options: dict[str, Any] = {"expert": expert, "syncnet": syncnet, "device": device, "seed": seed}
    if syncnet == "none":
        options["syncnet"] = None
    if video.is_dir():
        found = _folder(video, reference, options | {"workers": workers})
        clips, failed = found["clips"], found["failed"]
        console.print(folder_table(found))
    else:
        found = score_one(video, reference, **options)
        clips, failed = [found], {}
        console.print(clip_table(found))
    for clip in clips:
        name = "" if len(clips) == 1 else f"{_short(clip['video'], video)}: "
        for sentence in clip["warnings"]:
            console.print(f"warning: {name}{sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for name, reason in failed.items():
        said = reason if name in reason else f"{name}: {reason}"
        console.print(f"failed: {said}", style="red", markup=False, highlight=False, soft_wrap=True)
    if json_file is not None:
        _write(json_file, json.dumps(found, indent=2, allow_nan=False) + "\n")
    if csv_file is not None:
        _write(csv_file, as_csv(clips))
    if failed:
        raise typer.Exit(1)


def _folder(folder: Path, reference: Path | None, options: dict[str, Any]) -> Scores:
    from tfg.metrics.corpus import find_videos, score_folder

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("score", total=len(find_videos(folder)))
        return score_folder(folder, reference, **options, on_clip=lambda *_: bar.advance(task))


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _short(path: str, base: Path) -> str:
    try:
        return str(Path(path).relative_to(base)) if base.is_dir() else Path(path).name
    except ValueError:
        return path


def clip_table(found: Scores) -> Table:
    """One clip: a row per number with its chance level, the reference's value and the delay; protocols below."""
    with_reference = "avs_m" in found
    table = Table(title=str(found["video"] or "clip"), title_justify="left", caption_justify="left")
    table.add_column("score")
    for title in ("value", "chance", *(["reference"] if with_reference else [])):
        table.add_column(title, justify="right")
    table.add_column("delay")
    told = []
    for name in ("avs_u", "avs_m", "avs_v"):
        if name in found:
            title = f"AVS_{name[-1]}"
            ceiling = [_number(found["avs_u_reference"]) if name == "avs_u" else ""] if with_reference else []
            delay = found["offset_avs_words"] if name == "avs_u" else ""
            table.add_row(title, _number(found[name]), _number(found[f"{name}_chance"]), *ceiling, delay)
            told.append(f"{title}: {found['protocol'][name]}")
    told.append(f"chance: {found['protocol']['chance']}")
    for name in _LSE if found["syncnet"] else ():
        why = found["not_computed"].get(f"lse_{name}")
        blank = [""] * (1 + with_reference)
        for kind in "dc":
            delay = found[f"offset_{name}_words"] if kind == "d" else ""
            table.add_row(f"LSE-{kind.upper()} {name}", _number(found[f"lse_{kind}_{name}"]), *blank, delay or "")
        told.append(f"{name}: {f'not computed, {why}' if why else found['protocol'][name]}")
    first, stop = found["scored_frames"]
    told.append(
        f"frames {first} to {stop - 1} of {found['n_frames']}, face seen in {found['face_coverage']:.1%} of all"
    )
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["stages"].items())
    told.append(f"took {found['real_time_factor']:.2f} x the video's length: {stages}")
    table.caption = "\n".join([*_experts(found), *told])
    return table


def folder_table(found: Scores) -> Table:
    """A folder: a row per clip, then the mean. Every number is in the JSON and CSV, these are the main ones."""
    clips = found["clips"]
    table = Table(title=found["folder"], title_justify="left", caption_justify="left", box=box.SIMPLE)
    keys = {"AVS_u": "avs_u", "chance": "avs_u_chance"}
    if any("avs_m" in clip for clip in clips):
        keys |= {"AVS_u reference": "avs_u_reference", "AVS_m": "avs_m", "AVS_v": "avs_v"}
    protocols = _LSE if any(clip["syncnet"] for clip in clips) else ()
    table.add_column("video", overflow="fold", min_width=16)
    for title in (*keys, "delay by AVS", *(f"LSE-D, C {name}" for name in protocols)):
        table.add_column(title, justify="right")
    if protocols:
        table.add_column("delay by LSE", justify="right")
    table.add_column("warnings", justify="right")

    def lse_cells(source: Scores) -> list[str]:
        pairs = [(source.get(f"lse_d_{name}"), source.get(f"lse_c_{name}")) for name in protocols]
        return ["–" if d is None else f"{_number(d, 2)}, {_number(c, 2)}" for d, c in pairs]

    for clip in clips:
        numbers = [_number(clip.get(key)) for key in keys.values()]
        delays = [str(clip.get(f"offset_{name}_words") or "–").removeprefix("audio ") for name in ("avs", "unbiased")]
        late = delays[1:] if protocols else []
        name = _short(clip["video"], Path(found["folder"]))
        table.add_row(name, *numbers, delays[0], *lse_cells(clip), *late, str(len(clip["warnings"]) or ""))
    table.add_section()
    mean = found["mean"]
    means = [_number(mean.get(key)) for key in keys.values()]
    table.add_row(f"mean of {len(clips)}", *means, "", *lse_cells(mean), *([""] if protocols else []), "", style="bold")
    told = _experts(clips[0]) if clips else []
    if found["avs_u_other_clips"] is not None:
        told.append(f"AVS_u of the sound of one clip with the lips of another: {found['avs_u_other_clips']:.3f}")
    table.caption = "\n".join(told)
    return table


def _experts(found: Scores) -> list[str]:
    lines = []
    for role, protocol in (("AVS", found["expert"]), ("LSE", found["syncnet"])):
        if protocol:
            digest = f", sha256 {protocol['sha256'][:12]}" if "sha256" in protocol else ""
            lines.append(f"{role} by {protocol['name']} ({protocol['architecture']}{digest}), tfg {found['tfg']}")
    return lines


def as_csv(clips: list[Scores]) -> str:
    """One line per clip: every single number, the experts' names, the warnings joined by ``|``."""
    rows = []
    for clip in clips:
        row = {k: v for k, v in clip.items() if not isinstance(v, dict | list)}
        row |= {"expert": clip["expert"]["name"], "syncnet": (clip["syncnet"] or {}).get("name")}
        rows.append(row | {"warnings": " | ".join(clip["warnings"])})
    out = io.StringIO()
    fields = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(out, list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    temporary.replace(path)
