"""Writes the one file that is shipped: an ONNX graph with its weights, character set, architecture and revision.

The graph is written node by node, so that its names are the network's own, PyTorch can read the weights back
(:func:`worker.crnn.load`), and the same weights give the same bytes. Weights are stored as float16 and widened to
float32 when a session is made, so both engines compute in float32 from equal numbers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from worker.charset import Charset
from worker.crnn import Crnn, lstm_to_onnx

OPSET = 20
LICENSE = "Apache-2.0"
SOURCE = "Started from the PP-OCRv6 tiny recogniser (PaddleOCR, Apache-2.0); trained on generated lines."


class _Graph:
    """Collects nodes; every method adds one layer and returns the name of its output."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._used: set[str] = set()

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name: str) -> str:
        wide = f"{name}:float32"
        if name not in self._used:
            self._used.add(name)
            self.initializers.append(numpy_helper.from_array(self.tensors[name], name))
            self.node("Cast", [name], wide, to=TensorProto.FLOAT)
        return wide

    def constant(self, name: str, values: list[int]) -> str:
        if name not in self._used:
            self._used.add(name)
            self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def convolution(self, x: str, name: str, **attributes: object) -> str:
        return self.node("Conv", [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")], name, **attributes)

    def linear(self, x: str, name: str, bias: bool = True) -> str:
        rows = self.node("Transpose", [self.weight(f"{name}.weight")], f"{name}.rows", perm=[1, 0])
        product = self.node("MatMul", [x, rows], f"{name}.product")
        return self.node("Add", [product, self.weight(f"{name}.bias")], name) if bias else product


def _block(graph: _Graph, x: str, name: str, width: int, gated: bool, residual: bool) -> str:
    stride = [1, 1] if residual else [2, 1]
    x = graph.convolution(x, f"{name}.mix", pads=[1, 1, 1, 1], group=width, strides=stride)
    if gated:
        mean = graph.node("GlobalAveragePool", [x], f"{name}.mean")
        squeezed = graph.node("Relu", [graph.convolution(mean, f"{name}.gate.squeeze")], f"{name}.relu")
        excited = graph.convolution(squeezed, f"{name}.gate.excite")
        gate = graph.node("HardSigmoid", [excited], f"{name}.gate", alpha=1 / 6, beta=0.5)
        x = graph.node("Mul", [x, gate], f"{name}.gated")
    expanded = graph.node("Gelu", [graph.convolution(x, f"{name}.expand")], f"{name}.gelu")
    y = graph.convolution(expanded, f"{name}.project")
    return graph.node("Add", [x, y], f"{name}.sum") if residual else y


def _graph(network: Crnn, tensors: dict[str, np.ndarray]) -> _Graph:
    config = network.config
    graph = _Graph(tensors)
    x = graph.convolution("image", "stem1", pads=[1, 1, 1, 1], strides=[2, 2])
    x = graph.node("Gelu", [x], "stem1.gelu")
    x = graph.convolution(x, "stem2", pads=[1, 1, 1, 1], strides=[2, 2])
    for number, block in enumerate(network.blocks):
        width = block.mix.in_channels
        x = _block(graph, x, f"blocks.{number}", width, block.gate is not None, block.residual)
    x = graph.node("AveragePool", [x], "pool", kernel_shape=[3, 2], strides=[3, config.step // 4])
    x = graph.node("Squeeze", [x, graph.constant("axis.2", [2])], "columns")  # N, C, T
    spread = 8 // config.step
    x = graph.convolution(
        x, "column_mix", pads=[2 * spread] * 2, dilations=[spread], group=network.column_mix.in_channels
    )
    x = graph.convolution(graph.node("HardSwish", [x], "column_mix.hardswish"), "column_project")
    x = graph.node("HardSwish", [x], "column_project.hardswish")
    columns = graph.node("Transpose", [x], "sequence", perm=[0, 2, 1])  # N, T, C
    embedding = graph.linear(columns, "embed")
    if config.lstm:
        embedding = _context(graph, network, x, embedding)
    logits = graph.linear(embedding, "classify")
    graph.node("Softmax", [logits], "probabilities", axis=2)
    return graph


def _context(graph: _Graph, network: Crnn, columns: str, embedding: str) -> str:
    config = network.config
    sequence = graph.node("Transpose", [columns], "lstm.sequence", perm=[2, 0, 1])  # T, N, C
    inputs = [sequence, graph.weight("lstm.W"), graph.weight("lstm.R"), graph.weight("lstm.B")]
    states = graph.node("LSTM", inputs, "lstm", hidden_size=config.lstm, direction="bidirectional")  # T, 2, N, H
    states = graph.node("Transpose", [states], "lstm.batch_first", perm=[2, 0, 1, 3])  # N, T, 2, H
    states = graph.node("Reshape", [states, graph.constant("shape.states", [0, 0, -1])], "lstm.states")
    context = graph.linear(states, "context", bias=False)  # N, T, rank
    return graph.node("Add", [embedding, context], "embedding")


def export(network: Crnn, charset: Charset, folder: Path) -> Path:
    """Writes ``crnn-<revision>.onnx`` into ``folder`` and returns its path.

    The revision is the first 8 hex digits of the SHA-256 over weights, architecture and characters. Raises
    ``ValueError`` when character set and network disagree or a weight does not fit float16.
    """
    if charset.classes != network.config.classes:
        raise ValueError("the character set has another size than the classifier")
    state = {name: value.detach().float().numpy() for name, value in network.state_dict().items()}
    if network.config.lstm:
        state["lstm.W"], state["lstm.R"], state["lstm.B"] = lstm_to_onnx(state)
        state = {name: value for name, value in state.items() if not name.startswith(("lstm.weight", "lstm.bias"))}
    with np.errstate(over="ignore"):  # checked below
        tensors = {name: value.astype(np.float16) for name, value in state.items()}
    if not all(np.isfinite(value).all() for value in tensors.values()):
        raise ValueError("a weight does not fit float16")
    config = json.dumps(asdict(network.config), sort_keys=True)
    digest = hashlib.sha256(f"{config}\n{charset.to_json()}\n".encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].tobytes())
    revision = digest.hexdigest()[:8]

    graph = _graph(network, tensors)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, network.config.height, "W"])
    shape = ["N", "T", charset.classes]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("classify", "probabilities")]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "crnn", [image], outputs, initializer=graph.initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=9,
        producer_name="worker.training",
    )
    metadata = {"revision": revision, "config": config, "charset": charset.to_json()}
    helper.set_model_props(model, {**metadata, "license": LICENSE, "source": SOURCE})
    onnx.checker.check_model(model)
    path = folder / f"crnn-{revision}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
