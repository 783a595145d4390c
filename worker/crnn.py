"""The network: convolutions over a grey line, a bidirectional LSTM over its columns, one score per character and step.

CRNN after Shi, Bai and Yao (2015), "An End-to-End Trainable Neural Network for Image-based Sequence Recognition",
https://arxiv.org/abs/1507.05717. The convolutional part has the shape of PP-OCRv6 *tiny*'s recogniser (depthwise
3x3 token mixers and inverted-bottleneck channel mixers), so that its published weights can start ours. There is no
normalisation layer: the starting weights have theirs folded in, and training and inference then are one function.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class CrnnConfig:
    """The architecture's arguments; they travel in the weights file.

    ``stages`` lists (width, blocks) of the three stages; between two stages the height is halved. ``rank`` is the
    width of the embedding before the classifier. ``lstm`` is the LSTM's width in each direction, 0 for none. ``step``
    is the number of input pixels per time step, 8 or 4.
    """

    classes: int
    height: int = 48
    stem: int = 24
    stages: tuple[tuple[int, int], ...] = ((48, 2), (96, 2), (160, 3))
    lstm: int = 128
    rank: int = 80
    step: int = 8

    def __post_init__(self) -> None:
        if self.height != 48:
            raise ValueError("the pooling expects a height of 48 pixels")
        if self.step not in (4, 8):
            raise ValueError("a time step is 4 or 8 pixels wide")

    def steps(self, width: int) -> int:
        """Time steps for an input ``width`` in pixels (a multiple of 8)."""
        return width // 8 if self.step == 8 else width // 4 - 1


class SqueezeExcite(nn.Module):
    """Channel gates from the mean over the line (Hu et al. 2018, https://arxiv.org/abs/1709.01507)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // 4, 1)
        self.excite = nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True))))  # (N, C, 1, 1)
        return x * F.hardsigmoid(gate)


class Block(nn.Module):
    """Depthwise 3x3 (token mixer), optional gates, then expand, GELU, project; a residual where the shape stays."""

    def __init__(self, width: int, out: int, *, gated: bool = False, down: bool = False) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, width, 3, stride=(2, 1) if down else 1, padding=1, groups=width)
        self.gate = SqueezeExcite(width) if gated else None
        self.expand = nn.Conv2d(width, width * 2, 1)
        self.project = nn.Conv2d(width * 2, out, 1)
        self.residual = not down

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x)
        if self.gate is not None:
            x = self.gate(x)
        y = self.project(F.gelu(self.expand(x)))
        return x + y if self.residual else y


class Crnn(nn.Module):
    """``(N, 1, 48, W)`` grey lines in -1..1 to ``(N, T, classes)`` logits; W a multiple of 8, T from the config."""

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.config = config
        first = config.stages[0][0]
        self.stem1 = nn.Conv2d(1, config.stem, 3, stride=2, padding=1)
        self.stem2 = nn.Conv2d(config.stem, first, 3, stride=2, padding=1)
        blocks: list[Block] = []
        for number, (width, depth) in enumerate(config.stages):
            if number:
                blocks.append(Block(config.stages[number - 1][0], width, down=True))
            blocks.extend(Block(width, width, gated=index == 0) for index in range(depth))
        self.blocks = nn.ModuleList(blocks)
        last = config.stages[-1][0]
        # A 4-pixel step reads the same pooled columns twice as often: the kernel is spread to see what it saw before.
        spread = 8 // config.step
        self.column_mix = nn.Conv1d(last, last, 5, padding=2 * spread, dilation=spread, groups=last)
        self.column_project = nn.Conv1d(last, last, 1)
        self.embed = nn.Linear(last, config.rank)
        if config.lstm:
            self.lstm = nn.LSTM(last, config.lstm, batch_first=True, bidirectional=True)
            self.context = nn.Linear(2 * config.lstm, config.rank, bias=False)
        self.classify = nn.Linear(config.rank, config.classes)

    def columns(self, image: Tensor) -> Tensor:
        """The convolutional part: ``(N, 1, 48, W)`` to ``(N, T, C)``, C the last stage's width."""
        x = self.stem2(F.gelu(self.stem1(image)))  # (N, 48, 12, W/4)
        for block in self.blocks:
            x = block(x)
        x = F.avg_pool2d(x, (3, 2), stride=(3, self.config.step // 4)).squeeze(2)  # (N, 160, T)
        x = F.hardswish(self.column_mix(x))
        return F.hardswish(self.column_project(x)).transpose(1, 2)  # (N, T, 160)

    def embeddings(self, columns: Tensor) -> Tensor:
        """The recurrent part: ``(N, T, C)`` to ``(N, T, rank)``. The LSTM corrects what the columns alone say."""
        embedding = self.embed(columns)
        if self.config.lstm:
            embedding = embedding + self.context(self.lstm(columns)[0])
        return embedding

    def forward(self, image: Tensor) -> Tensor:
        return self.classify(self.embeddings(self.columns(image)))


def load(path: Path) -> Crnn:
    """The network of a weights file (ONNX): its architecture from the metadata, its weights from the initialisers.

    Only tensors and JSON are read, nothing of the file is executed. Raises ``ValueError`` for another kind of file.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    metadata = {item.key: item.value for item in model.metadata_props}
    if "config" not in metadata:
        raise ValueError(f"{path.name} carries no network configuration")
    arguments = json.loads(metadata["config"])
    arguments["stages"] = tuple(map(tuple, arguments["stages"]))
    network = Crnn(CrnnConfig(**arguments))
    tensors = {item.name: numpy_helper.to_array(item).astype(np.float32) for item in model.graph.initializer}
    if network.config.lstm:
        tensors.update(lstm_from_onnx(tensors.pop("lstm.W"), tensors.pop("lstm.R"), tensors.pop("lstm.B")))
    state = {name: torch.from_numpy(tensors[name]) for name in network.state_dict()}
    network.load_state_dict(state)
    return network.eval()


# ONNX keeps an LSTM's gates as input, output, forget, cell; PyTorch as input, forget, cell, output.
_TO_ONNX = (0, 3, 1, 2)
_FROM_ONNX = (0, 2, 3, 1)


def _gates(matrix: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    return matrix.reshape(4, -1, *matrix.shape[1:])[list(order)].reshape(matrix.shape)


def lstm_to_onnx(state: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PyTorch's bidirectional LSTM weights as ONNX's W ``(2, 4H, I)``, R ``(2, 4H, H)``, B ``(2, 8H)``."""
    w, r, b = [], [], []
    for suffix in ("_l0", "_l0_reverse"):
        w.append(_gates(state[f"lstm.weight_ih{suffix}"], _TO_ONNX))
        r.append(_gates(state[f"lstm.weight_hh{suffix}"], _TO_ONNX))
        b.append(np.concatenate([_gates(state[f"lstm.bias_{kind}{suffix}"], _TO_ONNX) for kind in ("ih", "hh")]))
    return np.stack(w), np.stack(r), np.stack(b)


def lstm_from_onnx(w: np.ndarray, r: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """The inverse of :func:`lstm_to_onnx`."""
    state = {}
    for number, suffix in enumerate(("_l0", "_l0_reverse")):
        state[f"lstm.weight_ih{suffix}"] = _gates(w[number], _FROM_ONNX)
        state[f"lstm.weight_hh{suffix}"] = _gates(r[number], _FROM_ONNX)
        half = b.shape[1] // 2
        state[f"lstm.bias_ih{suffix}"] = _gates(b[number, :half], _FROM_ONNX)
        state[f"lstm.bias_hh{suffix}"] = _gates(b[number, half:], _FROM_ONNX)
    return state
