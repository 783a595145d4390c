"""What a training folder holds: ``warmstart.pt`` (where training began) and ``checkpoint.pt`` (where it is).

Tensors, numbers and strings only, read with ``weights_only``; never part of what is shipped.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from worker.charset import Charset
from worker.crnn import Crnn, CrnnConfig

WARM_START = "warmstart.pt"
CHECKPOINT = "checkpoint.pt"


def write(path: Path, network: Crnn, charset: Charset, known: int, **more: Any) -> None:
    """In one piece: a reader sees the old file or the new one. ``known`` is the warm start's number of characters."""
    state = {
        "network": network.state_dict(),
        "config": json.dumps(asdict(network.config)),
        "charset": charset.to_json(),
        "known": known,
        **more,
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def read(path: Path) -> tuple[Crnn, Charset, dict[str, Any]]:
    """The network, its characters and everything else that was written, all on the CPU."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    arguments = json.loads(state["config"])
    arguments["stages"] = tuple(map(tuple, arguments["stages"]))
    network = Crnn(CrnnConfig(**arguments))
    network.load_state_dict(state["network"])
    return network, Charset.from_json(state["charset"]), state


PRIOR = 3.3
"""Generated lines show the new characters e^3.3 = 28 times as often as Chinese text does (4.1 % of all characters; by
the frequencies in jieba's dictionary .15 %)."""


def averaged(folder: Path, share: float = 0.5, prior: float = PRIOR) -> tuple[Crnn, Charset]:
    """The average of the weights over the training's steps, ``share`` of it, and the rest of the warm start.

    ``prior`` is taken from the new characters' biases: they were learned from lines that show them too often, and would
    be preferred as often (Menon et al. 2021, "Long-tail learning via logit adjustment", https://arxiv.org/abs/2007.07314).

    The mean of a pre-trained network's weights and of the fine-tuned ones often reads unseen kinds of images better
    than either: Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", https://arxiv.org/abs/2109.01903.
    """
    network, charset, state = read(folder / CHECKPOINT)
    weights = state["average"]
    if share != 1.0:
        start = read(folder / WARM_START)[0].state_dict()
        weights = {name: torch.lerp(start[name], value, share) for name, value in weights.items()}
    weights["classify.bias"] = weights["classify.bias"].clone()
    weights["classify.bias"][state["known"] + 1 :] -= prior
    network.load_state_dict(weights)
    return network.eval(), charset
