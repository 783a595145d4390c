"""How fast training lines are drawn, in lines a second of CPU time, once the fonts' glyphs are loaded.

    python -m benchmarks.recognition.drawing [--count 400] [--fonts DIR ...]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from worker.engine import load_engine
from worker.training.evaluate import HELD_OUT_SEED
from worker.training.lines import LineGenerator
from worker.training.scene import SceneGenerator


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400, help="lines of each kind")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="more folders with the generator's fonts")
    arguments = parser.parse_args()
    generator = LineGenerator(load_engine().charset, HELD_OUT_SEED, extra=tuple(arguments.fonts))
    for name, draw in (("page", generator.line), ("scene", SceneGenerator(generator).line)):
        for number in range(arguments.count, 2 * arguments.count):
            draw(number)
        start = time.process_time()
        for number in range(arguments.count):
            draw(number)
        print(f"{name} lines: {arguments.count / (time.process_time() - start):.0f} a second")


if __name__ == "__main__":
    main()
