"""Figures of what a contrastive training is made of: its pairs, its network, its losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from tfg.clip import FPS, SAMPLE_RATE, Wave
from tfg.experts.syncnet import CEPSTRA, COLUMNS, WINDOW, SyncNet
from tfg.plots.style import ACCENT, LIPS, MUTED, SOUND, TRUTH, figure, image_axes
from tfg.training.syncnet import MATCHING_TEMPERATURE

FITS, LEFT_OUT, DIFFERS = "fits", "left out: too near", "does not fit"
_PAIR_COLOURS = {FITS: TRUTH, LEFT_OUT: "#DDDDDD", DIFFERS: ACCENT}


def window_pairs(audio: Wave, starts: Sequence[int], min_offset: int) -> Figure:
    """One clip's windows of one training step: where they lie, and which pairs of them are compared.

    :param audio: the clip's sound, 16 kHz.
    :param starts: frames at which the windows begin, in any order.
    :param min_offset: pairs nearer than this, but not of one moment, are left out.
    """
    ordered = np.sort(np.asarray(starts))
    count = len(ordered)
    chosen = count // 2
    kinds = np.where(np.abs(ordered[:, None] - ordered) >= min_offset, 2, 1)
    np.fill_diagonal(kinds, 0)
    with figure(1, 2, size=(9, 3.8), width_ratios=(1.7, 1)) as (fig, (ax, table)):
        wave = audio / (2.2 * np.abs(audio).max())
        ax.plot(np.arange(len(audio)) / SAMPLE_RATE, wave, color=SOUND, lw=0.4)
        begin, stop = ordered[chosen] / FPS, (ordered[chosen] + WINDOW) / FPS
        ax.axvspan(begin, stop, color=LIPS, alpha=0.2, lw=0)
        for row, (start, kind) in enumerate(zip(ordered, kinds[chosen], strict=True)):
            colour = list(_PAIR_COLOURS.values())[kind]
            ax.add_patch(Rectangle((start / FPS, -1.25 - row), WINDOW / FPS, 0.7, facecolor=colour, lw=0))
        ax.set_xlim(0, len(audio) / SAMPLE_RATE)
        ax.set_ylim(-count - 0.8, 0.75)
        ax.set_yticks([0, *(-0.9 - np.arange(count))], ["sound", *(f"window {i}" for i in range(count))])
        ax.grid(axis="y", visible=False)
        ax.set_title(f"{count} windows of one clip; the lips are those of window {chosen}")
        ax.set_xlabel("time (s)")
        table.imshow(kinds, cmap=ListedColormap(list(_PAIR_COLOURS.values())), vmin=0, vmax=2)
        for i in range(count):
            for j in range(count):
                table.text(
                    j, i, f"{ordered[j] - ordered[i]:+d}".replace("+0", "0"), ha="center", va="center", fontsize=8
                )
        table.add_patch(Rectangle((-0.5, chosen - 0.5), count, 1, fill=False, edgecolor=LIPS, lw=2.5))
        table.grid(False)
        table.set_xticks(range(count))
        table.set_yticks(range(count))
        table.set_title("All pairs: frames apart")
        table.set_xlabel("sound of window")
        table.set_ylabel("lips of window")
        patches: list[Any] = [Patch(color=colour, label=name) for name, colour in _PAIR_COLOURS.items()]
        patches.append(Patch(color=LIPS, alpha=0.3, label="the five frames that the lip stream sees"))
        fig.legend(handles=patches, loc="outside lower center", ncols=4, fontsize=9)
    return fig


def two_streams(model: SyncNet) -> Figure:
    """Both streams of a SyncNet, with the shapes that one window has after each stage of a forward pass."""
    side = model.config.image_size
    inputs = {"lips": torch.zeros(1, 3 * WINDOW, side, side), "sound": torch.zeros(1, 1, CEPSTRA, COLUMNS)}
    convolutions = {"lips": model.netcnnlip, "sound": model.netcnnaud}
    rows: tuple[tuple[str, float, str, str], ...] = (
        ("lips", 1.0, LIPS, f"{WINDOW} frames\nin colour"),
        ("sound", -1.6, SOUND, f"0.2 s of sound:\n{COLUMNS} columns of MFCC"),
    )
    with figure(size=(9.4, 4.4)) as (fig, ax):
        image_axes(ax, "What becomes of one window (channels × rows × columns)")
        for name, y, colour, text in rows:
            stages = _stages(convolutions[name], inputs[name])
            ax.text(-0.75, y, text, ha="right", va="center", color=colour)
            for x, (channels, height, width) in enumerate(stages):
                tall, wide = np.sqrt([height, width]) * ((0.16, 0.08) if name == "lips" else (0.19, 0.1))
                for depth in np.linspace(0.18, 0, min(4, channels)):  # a few sheets stand for the channels
                    corner = (x - wide / 2 + depth, y - tall / 2 + depth)
                    for fill, alpha in (("white", 1.0), (colour, 0.3)):
                        ax.add_patch(
                            Rectangle(corner, wide, tall, facecolor=fill, edgecolor=colour, alpha=alpha, zorder=2)
                        )
                ax.text(x, y - 1.05, f"{channels}×{height}×{width}", ha="center", fontsize=8, family="monospace")
            last = len(stages) - 1
            ax.annotate("", (last + 1.35, -0.3 + 0.25 * np.sign(y)), (last + 0.3, y), arrowprops={"arrowstyle": "->"})
            size = model.config.embed_dim
            head = f"2 linear layers, {size} numbers" + (" ≥ 0" if model.config.rectified else "")
            ax.text(last + 0.45, y + 0.5 * np.sign(y), head, ha="center", va="center", fontsize=8.5)
        ax.text(last + 1.4, -0.3, "cosine", va="center", fontweight="bold")
        ax.set_xlim(-2.7, last + 2.2)
        ax.set_ylim(-2.9, 2.1)
    return fig


def _stages(stream: torch.nn.Sequential, x: torch.Tensor) -> list[tuple[int, int, int]]:
    """``(channels, rows, columns)`` of the input, and after each convolution and pool."""
    shapes = [x.shape[1:]]
    training = stream.training
    stream.eval()
    with torch.inference_mode():
        for layer in stream:
            x = layer(x)
            if isinstance(layer, torch.nn.MaxPool2d):
                shapes[-1] = x.shape[1:]  # with the convolution before it
            elif isinstance(layer, torch.nn.Conv2d | torch.nn.Conv3d):
                shapes.append(x.shape[1:])
    stream.train(training)
    return [(int(c), int(h), int(w)) for c, h, w in shapes]


def pair_losses(margin: float = 1.0, others: int = 6) -> Figure:
    """Three losses as functions of the cosine: contrastive, binary cross-entropy, matching among several.

    :param margin: of the contrastive loss, on unit vectors.
    :param others: sounds that the right one has to beat in the matching loss.
    """
    cosine = np.linspace(0.01, 0.99, 197)
    distance = np.sqrt(2 - 2 * cosine)
    apart = np.maximum(margin - distance, 0) ** 2
    with figure(1, 3, size=(9.6, 3.2)) as (fig, axes):
        fits = ("a pair that fits", distance**2, -np.log(cosine))
        differs = ("a pair that does not", apart, -np.log(1 - cosine))
        for ax, (title, contrastive, entropy) in zip(axes, (fits, differs), strict=False):
            ax.plot(cosine, contrastive, color=MUTED, label=f"contrastive, margin {margin:g}")
            ax.plot(cosine, entropy, color=LIPS, label="cross-entropy (BCE)")
            ax.set_title(title)
            ax.set_xlabel("cosine of lips and sound")
            ax.set_ylim(0, 4.2)
        axes[0].set_ylabel("loss")
        axes[0].legend(fontsize=8)
        for other, shade in zip((0.8, 0.5, 0.2), (1.0, 0.65, 0.35), strict=True):
            wrong = others * np.exp(other / MATCHING_TEMPERATURE)
            right = np.exp(cosine / MATCHING_TEMPERATURE)
            name = f"the others: {other}"
            axes[2].plot(cosine, -np.log(right / (right + wrong)), color=SOUND, alpha=shade, label=name)
        axes[2].axhline(np.log(others + 1), color=MUTED, ls=":", lw=1.2)
        axes[2].text(
            1,
            np.log(others + 1) + 0.1,
            f"guessing: log {others + 1}",
            ha="right",
            color=MUTED,
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        axes[2].set_title(f"matching: one among {others + 1}")
        axes[2].set_xlabel("cosine of the right pair")
        axes[2].set_ylim(0, 10)
        axes[2].legend(fontsize=8, title="cosine of", title_fontsize=8)
    return fig
