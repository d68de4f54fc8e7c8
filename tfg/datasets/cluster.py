"""Jobs on an existing Ray cluster, through joblib. Ray is optional: ``pip install "tfg[cluster]"``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from joblib import Parallel, effective_n_jobs, parallel_config

from tfg.errors import DataError

_ROUNDS = 4  # calls a worker gets at a time: Ray's backend gives results by the batch, and the bar moves with them


def run(calls: Sequence[Any], workers: int | None = None) -> Iterator[Any]:
    """Results of joblib's delayed calls, in order, computed on the cluster.

    The cluster is the one that ``RAY_ADDRESS`` names or that runs on this machine (``ray start --head``); its machines
    need this package, and must see the files that the calls name under the same paths.

    :param workers: processes on the cluster; by default one per core that it has.
    :raises DataError: Ray is not installed, or no cluster can be reached.
    """
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise DataError("Ray is not installed; a cluster needs it: pip install 'tfg[cluster]'") from error
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or "auto"
        try:
            ray.init(address=address, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise DataError(
                f"no Ray cluster at {address!r} ({error}); start one with 'ray start --head', or set RAY_ADDRESS"
            ) from error
    register_ray()
    with parallel_config(backend="ray"):
        count = workers or effective_n_jobs(-1)
        with Parallel(count, batch_size=1) as pool:
            rest = iter(calls)
            while batch := list(islice(rest, _ROUNDS * count)):
                yield from pool(batch)
