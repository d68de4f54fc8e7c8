"""Our AV-HuBERT features against ESPnet's: same weights, same inputs, one process, runs in turn.

    python benchmarks/avhubert_features.py                 # base, 5 s of video, all threads
    python benchmarks/avhubert_features.py --threads 1     # in processor time, which other jobs do not disturb

Needs fairseq, typeguard and espnet beside this package. The weights are random: time does not depend on them.
The peer's and our runs alternate. Where other jobs share the machine the wall clock says little: use one thread, for
which the process's own processor time is taken.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tfg.experts.avhubert import AVHubert, AVHubertConfig

try:
    from espnet2.asr.encoder import avhubert_encoder
except ImportError as missing:
    raise SystemExit(f"this comparison needs espnet, fairseq and typeguard: {missing}") from None

Encode = Callable[[Tensor | None, Tensor | None], Tensor]


def build_pair() -> tuple[Encode, Encode]:
    """ESPnet's base AV-HuBERT and our frozen one, with the same weights."""
    torch.manual_seed(0)
    ours = AVHubert(AVHubertConfig.base()).eval()
    theirs = avhubert_encoder.AVHubertModel.build_model(
        avhubert_encoder.AVHubertConfig(
            audio_feat_dim=104,
            layer_norm_first=True,
            encoder_layers=12,
            encoder_embed_dim=768,
            encoder_ffn_embed_dim=3072,
            encoder_attention_heads=12,
        )
    ).eval()
    state = ours.state_dict()
    theirs.load_state_dict({name: state[name].view_as(x) for name, x in theirs.state_dict().items()})
    frozen = ours.freeze()

    def espnet(audio: Tensor | None, video: Tensor | None) -> Tensor:
        source = {
            "audio": None if audio is None else audio.mT,
            "video": None if video is None else video[:, None],
        }
        return theirs.extract_finetune(source)[0]  # type: ignore[no-any-return]

    return espnet, frozen.features


def time_in_turn(
    encoders: tuple[Encode, ...], audio: Tensor | None, video: Tensor | None, runs: int
) -> list[list[float]]:
    """Seconds of ``runs`` runs of each encoder, one after the other, after one run each to warm up."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds: list[list[float]] = [[] for _ in encoders]
    for run in range(runs + 1):
        for encode, times in zip(encoders, seconds, strict=True):
            start = clock()
            encode(audio, video)
            if run > 0:
                times.append(clock() - start)
    return seconds


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description="AV-HuBERT base features: ESPnet against tfg")
    parser.add_argument("--frames", type=int, default=125, help="length of the clip at 25 frames a second")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    espnet, ours = build_pair()
    audio, video = torch.randn(1, args.frames, 104), torch.randn(1, args.frames, 88, 88)
    clock = "processor time" if args.threads == 1 else "wall clock"
    print(f"base, T = {args.frames}, float32, torch {torch.__version__}, {args.threads} threads, {clock}")
    print(f"{'':6} {'espnet s':>19} {'tfg s':>19} {'ratio':>13} {'max':>9}")
    print(f"{'input':6} {'median':>9} {'min':>9} {'median':>9} {'min':>9} {'median':>6} {'min':>6} {'abs diff':>9}")
    for name, a, v in (("audio", audio, None), ("video", None, video), ("both", audio, video)):
        difference = float((espnet(a, v) - ours(a, v)).abs().max())
        theirs_s, ours_s = time_in_turn((espnet, ours), a, v, args.runs)
        medians = statistics.median(theirs_s), statistics.median(ours_s)
        ratios = medians[0] / medians[1], min(theirs_s) / min(ours_s)
        print(
            f"{name:6} {medians[0]:9.3f} {min(theirs_s):9.3f} {medians[1]:9.3f} {min(ours_s):9.3f} "
            f"{ratios[0]:6.2f} {ratios[1]:6.2f} {difference:9.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
