"""Runs the network: ONNX Runtime (serving) or PyTorch, behind one call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from worker.charset import Charset
from worker.session import line_session

WEIGHTS = Path(__file__).parent / "weights"


class Engine(Protocol):
    """A loaded network. Calls are thread-safe and leave nothing behind: no option is kept from one to the next."""

    revision: str
    charset: Charset
    height: int
    step: int
    """Input pixels per time step; time step ``t`` is centred on pixel ``step * t + 4``."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        """float32 ``(N, 1, height, W)`` in -1..1, W a multiple of 8 and at least 16, to float32 log-probabilities
        ``(N, T, classes)``."""

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same input to the likeliest class ``(N, T)`` int64 and its probability ``(N, T)`` float32.

        All that greedy decoding needs.
        """


def default_weights() -> Path:
    """The one weights file that is shipped. Raises ``FileNotFoundError`` when there is not exactly one."""
    found = sorted(WEIGHTS.glob("crnn-*.onnx"))
    if len(found) != 1:
        raise FileNotFoundError(f"{WEIGHTS} holds {len(found)} weights files instead of one")
    return found[0]


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, weights: Path, threads: int = 1) -> None:
        self._session = line_session(weights, threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.revision, self.charset, self.height, self.step = _described(metadata, weights)

    def run(self, batch: np.ndarray) -> np.ndarray:
        logits = self._session.run(["classify"], {"image": batch})[0]
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return logits

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities = self._session.run(["probabilities"], {"image": batch})[0]
        best = probabilities.argmax(-1)  # faster than ONNX Runtime's ArgMax, and its output is not copied
        return best, np.take_along_axis(probabilities, best[..., None], -1)[..., 0]


class TorchEngine:
    """PyTorch on the CPU, with the weights of the same ONNX file. ``threads`` holds for the whole process."""

    def __init__(self, weights: Path, threads: int = 1) -> None:
        import onnx
        import torch

        from worker.crnn import load

        torch.set_num_threads(threads)
        self._torch = torch
        self._network = load(weights)
        metadata = {item.key: item.value for item in onnx.load(weights).metadata_props}
        self.revision, self.charset, self.height, self.step = _described(metadata, weights)

    def _logits(self, batch: np.ndarray):
        return self._network(self._torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)))

    def run(self, batch: np.ndarray) -> np.ndarray:
        with self._torch.inference_mode():
            return self._logits(batch).log_softmax(-1).numpy()

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with self._torch.inference_mode():
            probability, best = self._logits(batch).softmax(-1).max(-1)
            return best.numpy(), probability.numpy()


def _described(metadata: dict[str, str], weights: Path) -> tuple[str, Charset, int, int]:
    try:
        config = json.loads(metadata["config"])
        return metadata["revision"], Charset.from_json(metadata["charset"]), config["height"], config["step"]
    except KeyError as missing:
        raise ValueError(f"{weights.name} is no weights file of this recogniser: it lacks {missing}") from None


def load_engine(kind: Literal["onnx", "torch"] = "onnx", threads: int = 1, weights: Path | None = None) -> Engine:
    """The engine of that kind with ``threads`` CPU threads, from ``weights`` or the shipped file.

    Raises ``ValueError`` for an unknown kind, less than one thread or a foreign file, ``FileNotFoundError`` without
    weights, ``ImportError`` when the kind's library is not installed.
    """
    if threads < 1:
        raise ValueError("an engine needs at least one thread")
    kinds = {"onnx": OnnxEngine, "torch": TorchEngine}
    if kind not in kinds:
        raise ValueError(f"unknown engine {kind!r}: choose one of {', '.join(kinds)}")
    return kinds[kind](weights or default_weights(), threads)
