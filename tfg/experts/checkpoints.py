"""Checkpoints of the experts: read without executing anything, write as safetensors with a json card."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from tfg.errors import CheckpointError


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
        f"{len(names)} {label} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"these weights are not those of {what}: of {len(own)} entries expected and {len(state)} found, "
            f"{'; '.join(problems)}. Check that the file and the configuration belong together"
        )
    module.load_state_dict({**own, **state})
