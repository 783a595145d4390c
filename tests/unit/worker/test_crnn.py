from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from worker.charset import Charset
from worker.crnn import Crnn, CrnnConfig, load, lstm_from_onnx, lstm_to_onnx
from worker.engine import default_weights, load_engine
from worker.recognise import LineRecognizer
from worker.training.export import export

CHARSET = Charset(tuple("0123456789abcdefghij"))
SMALL = {"stem": 4, "stages": ((8, 2), (8, 1), (12, 1)), "rank": 10}


def network(**arguments) -> Crnn:
    torch.manual_seed(0)
    return Crnn(CrnnConfig(classes=CHARSET.classes, **{**SMALL, "lstm": 5, **arguments})).eval()


def batch(count: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 1, 48, width)).astype(np.float32)


@pytest.mark.parametrize("step", [4, 8])
@pytest.mark.parametrize("width", [16, 64, 200])
def test_one_logit_row_a_time_step(step, width):
    net = network(step=step)
    with torch.no_grad():
        logits = net(torch.from_numpy(batch(3, width)))
    assert logits.shape == (3, net.config.steps(width), CHARSET.classes)


def test_every_weight_is_used():
    net = network()
    net(torch.from_numpy(batch(2, 64))).square().sum().backward()
    assert [name for name, value in net.named_parameters() if value.grad is None or not value.grad.any()] == []


@torch.no_grad()
def test_the_lstm_looks_both_ways():
    net = network()
    columns = torch.randn(1, 6, SMALL["stages"][-1][0])
    before = net.embeddings(columns)
    for changed, far in ((0, 5), (5, 0)):
        other = columns.clone()
        other[:, changed] += 3
        assert not torch.equal(net.embeddings(other)[:, far], before[:, far])


@torch.no_grad()
def test_without_an_lstm_a_step_sees_its_own_columns_only():
    net = network(lstm=0)
    columns = torch.randn(1, 6, SMALL["stages"][-1][0])
    other = columns.clone()
    other[:, 0] += 3
    assert torch.equal(net.embeddings(other)[:, 1:], net.embeddings(columns)[:, 1:])


@pytest.mark.parametrize("arguments", [{"height": 32}, {"step": 16}])
def test_impossible_architectures_are_refused(arguments):
    with pytest.raises(ValueError):
        CrnnConfig(classes=10, **arguments)


def test_lstm_weights_survive_the_way_to_onnx_and_back():
    state = {name: value.numpy() for name, value in network().state_dict().items() if name.startswith("lstm.")}
    back = lstm_from_onnx(*lstm_to_onnx(state))
    assert back.keys() == state.keys()
    assert all((back[name] == state[name]).all() for name in state)


@pytest.mark.parametrize("arguments", [{}, {"lstm": 0}, {"step": 4}])
def test_an_exported_network_computes_the_same_in_both_engines(tmp_path, arguments):
    path = export(network(**arguments), CHARSET, tmp_path)
    onnx_engine, torch_engine = (load_engine(kind, weights=path) for kind in ("onnx", "torch"))
    for count, width in ((1, 16), (3, 96)):
        image = batch(count, width)
        np.testing.assert_allclose(onnx_engine.run(image), torch_engine.run(image), atol=1e-4)
        for one, other in zip(onnx_engine.best(image), torch_engine.best(image), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_shipped_weights_read_the_same_in_both_engines():
    engines = [load_engine(kind) for kind in ("onnx", "torch")]
    image = batch(2, 160)
    np.testing.assert_allclose(engines[0].run(image), engines[1].run(image), atol=2e-3)
    crop = np.full((40, 300), 255, np.uint8)
    crop[10:30, 20:280:9] = 0
    one, other = (LineRecognizer(engine).recognise([crop])[0] for engine in engines)
    assert one.text == other.text
    assert one.score == pytest.approx(other.score, abs=1e-3)


def test_the_file_describes_itself(tmp_path):
    net = network()
    path = export(net, CHARSET, tmp_path)
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert path.name == f"crnn-{metadata['revision']}.onnx"
    assert Charset.from_json(metadata["charset"]) == CHARSET
    assert json.loads(metadata["config"])["lstm"] == net.config.lstm
    assert load(path).config == net.config
    engine = load_engine(weights=path)
    assert (engine.revision, engine.charset, engine.height, engine.step) == (metadata["revision"], CHARSET, 48, 8)


def test_equal_weights_give_equal_bytes_and_other_weights_another_revision(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    net = network()
    assert export(net, CHARSET, first).read_bytes() == export(net, CHARSET, second).read_bytes()
    with torch.no_grad():
        net.classify.bias[3] += 0.5
    assert export(net, CHARSET, second).name != next(first.iterdir()).name


def test_what_cannot_be_stored_is_refused(tmp_path):
    with pytest.raises(ValueError, match="size"):
        export(network(), Charset(("a",)), tmp_path)
    net = network()
    with torch.no_grad():
        net.classify.bias[0] = 1e6
    with pytest.raises(ValueError, match="float16"):
        export(net, CHARSET, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_is_refused(tmp_path):
    model = onnx.load(default_weights())
    del model.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    path.write_bytes(model.SerializeToString())
    for kind in ("onnx", "torch"):
        with pytest.raises(ValueError, match="foreign"):
            load_engine(kind, weights=path)


def test_the_shipped_weights_are_small():
    assert default_weights().stat().st_size < 10_000_000
