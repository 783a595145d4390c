"""What a corrected document costs on one machine, embedded, beside a document that is read in full.

    python -m benchmarks.corrections [--pages 8]

Starts its own server on drawn A4 e-invoices of nine rows, has each read, then sends versions of it with other figures.
Processor time is that of all the server's processes; it and the ratios hold on a busy machine, wall time does not.
Every answer is compared with a full reading of the same picture.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests

from gateway.agreement import figures
from tests.documents import Invoice, draw_invoice
from tests.serving import Served, running

ROWS = 9
CELLS, FIRST_ROW, PRICE, TAX = 7, 14, 4, 6
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """One kind of upload, and what its answers were like."""

    name: str
    draw: Callable[[int, random.Random], bytes]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    reread: list[int] = field(default_factory=list)
    as_read: int = 0


def processor_seconds(served: Served) -> float:
    """What the server and all its processes have used."""
    used = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == served.process.pid:  # its session
            used += int(fields[11]) + int(fields[12])
    return used / TICKS


def other_digit(text: str, chance: random.Random) -> str:
    """``text`` with one of its digits changed."""
    place = chance.choice([place for place, character in enumerate(text) if character.isdigit()])
    digit = chance.choice([digit for digit in "0123456789" if digit != text[place]])
    return text[:place] + digit + text[place + 1 :]


def corrected(seed: int, chance: random.Random, numbers: list[int]) -> Invoice:
    """Invoice ``seed`` with one digit changed in each of the lines ``numbers``."""
    texts = draw_invoice(seed, ROWS).texts
    return draw_invoice(seed, ROWS, corrections={number: other_digit(texts[number], chance) for number in numbers})


def one_figure(seed: int, chance: random.Random) -> Invoice:
    """Any figure with another digit."""
    texts = draw_invoice(seed, ROWS).texts
    numbers = [number for number, text in enumerate(texts) if any(character.isdigit() for character in text)]
    return corrected(seed, chance, [chance.choice(numbers)])


def one_amount(seed: int, chance: random.Random) -> Invoice:
    """A price, and what follows from it: the row's tax, both sums and the total."""
    row, foot = FIRST_ROW + CELLS * chance.randrange(ROWS), FIRST_ROW + CELLS * ROWS
    return corrected(seed, chance, [row + PRICE, row + TAX, foot + 1, foot + 2, foot + 4])


def measure(served: Served, cases: list[Case], pages: int) -> None:
    """Each page's cases one after the other, so that all of them meet the same moments of a busy machine."""
    session, chance = requests.Session(), random.Random(1)

    def post(upload: bytes, **query: str) -> requests.Response:
        answer = session.post(f"{served.url}/ocr", files={"image": upload}, params=query, timeout=120)
        answer.raise_for_status()
        return answer

    post(draw_invoice(10_000, ROWS).png())
    for seed in range(pages):
        for case in cases:
            upload = case.draw(seed, chance)
            cpu, wall = processor_seconds(served), time.perf_counter()
            answer = post(upload)
            case.wall.append(time.perf_counter() - wall)
            case.cpu.append(processor_seconds(served) - cpu)
            case.words.append(answer.headers["X-Cache-Status"])
            case.reread.append(answer.json()["match"]["reread_lines"])
            if case.words[-1] != "MISS":
                full = post(upload, match="none").json()
                case.as_read += figures(answer.json()["text"]) == figures(full["text"])
                # Gone again, or the next version of this invoice would be compared with this one.
                session.delete(f"{served.url}/results/{full['id']}").raise_for_status()
            else:
                case.as_read += 1


def report(cases: list[Case]) -> None:
    """One row a case; the first one is what the others are held against."""
    print(f"{'':42}{'PARTIAL':>8}{'lines':>7}{'figures as read':>17}{'CPU':>9}{'of a MISS':>11}{'wall':>9}")
    whole = statistics.median(cases[0].cpu)
    for case in cases:
        count, cpu = len(case.words), statistics.median(case.cpu)
        print(
            f"{case.name:42}{case.words.count('PARTIAL'):>4}/{count:<3}{statistics.mean(case.reread):>7.1f}"
            f"{case.as_read:>13}/{count:<3}{1000 * cpu:>6.0f} ms{cpu / whole:>11.2f}"
            f"{1000 * statistics.median(case.wall):>6.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=8)
    chosen = parser.parse_args()
    cases = [
        Case("a new invoice", lambda seed, _: draw_invoice(seed, ROWS).png()),
        Case("one digit corrected", lambda seed, chance: one_figure(seed, chance).png()),
        Case("one digit corrected, JPEG at 0.9", lambda seed, chance: one_figure(seed, chance).jpeg(0.9)),
        Case("one digit corrected, JPEG at 0.75", lambda seed, chance: one_figure(seed, chance).jpeg(0.75, 75)),
        Case("a price and the sums corrected", lambda seed, chance: one_amount(seed, chance).png()),
        Case("nothing corrected, JPEG at 0.9", lambda seed, _: draw_invoice(seed, ROWS).jpeg(0.9)),
        Case("nothing corrected, JPEG at 0.5", lambda seed, _: draw_invoice(seed, ROWS).jpeg(0.5)),
    ]
    with tempfile.TemporaryDirectory() as folder, running("serve", Path(folder), log_level="WARNING") as served:
        measure(served, cases, chosen.pages)
    report(cases)


if __name__ == "__main__":
    main()
