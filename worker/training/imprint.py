"""First classifier rows for characters that the warm start does not know.

After Qi, Brown and Lowe (2018), "Low-Shot Learning with Imprinted Weights", https://arxiv.org/abs/1712.07136: what the
frozen network sees in a rendered character says what its row should be. The map from one to the other is fitted by
ridge regression on the characters that the warm start does know.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from worker.charset import BLANK, Charset
from worker.crnn import Crnn
from worker.preprocess import to_batch
from worker.training.fonts import Face, Fonts

FACES = ("NotoSansCJK-Regular.ttc", "uming.ttc")
WIDTH = 96
RIDGE = 1e-3
RESERVE = 6.0
"""How much lower the new rows' biases start: they must not take what the warm start reads before they are trained."""


def _glyph(face: Face, character: str) -> np.ndarray:
    """uint8 (48, 96): the character in the middle of a white strip."""
    image = Image.new("L", (WIDTH, 48), 255)
    ImageDraw.Draw(image).text((WIDTH // 2, 25), character, 0, face.at(40), anchor="mm")
    return np.asarray(image)


@torch.no_grad()
def prototypes(network: Crnn, fonts: Fonts, characters: str) -> np.ndarray:
    """float64 ``(len(characters), rank)``: the mean embedding at a character's middle; NaN where no face has it."""
    faces = [next(face for face in fonts.faces if face.path.name == name) for name in FACES]
    sums = np.zeros((len(characters), network.config.rank))
    counts = np.zeros(len(characters))
    for face in faces:
        numbers = [number for number, character in enumerate(characters) if face.covers(character)]
        for begin in range(0, len(numbers), 256):
            part = numbers[begin : begin + 256]
            batch = torch.from_numpy(to_batch([_glyph(face, characters[number]) for number in part], WIDTH))
            embedding = network.embed(network.columns(batch))  # (N, T, rank)
            middle = embedding.shape[1] // 2
            near = embedding[:, middle - 1 : middle + 1]
            row = network.classify.weight[BLANK]
            seen = (near @ row).argmin(1)  # the step that looks least like a blank
            sums[part] += near[torch.arange(len(part)), seen].numpy()
            counts[part] += 1
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


@torch.no_grad()
def imprint(network: Crnn, charset: Charset, known: int, fonts: Fonts) -> float:
    """Sets the rows of all characters after the first ``known``; those that no face has keep theirs.

    Returns the share of the set rows that win at their own prototype, over all classes, before the reserve is taken.
    """
    rank = network.config.rank
    seen = prototypes(network, fonts, "".join(charset.characters))
    rows = network.classify.weight[1:].double().numpy()
    biases = network.classify.bias[1:].double().numpy()
    targets = np.concatenate((rows, biases[:, None]), axis=1)
    usable = np.isfinite(seen).all(1)
    old, new = usable.copy(), usable.copy()
    old[known:], new[:known] = False, False
    inputs = np.concatenate((seen, np.ones((len(seen), 1))), axis=1)
    a = inputs[old]
    penalty = RIDGE * np.trace(a.T @ a) / a.shape[1] * np.eye(a.shape[1])
    solution = np.linalg.solve(a.T @ a + penalty, a.T @ targets[old])
    found = inputs[new] @ solution
    # Regression shrinks: give the new rows the old ones' spread around the mean row.
    mean = targets[old].mean(0)
    spread = np.linalg.norm(targets[old] - mean, axis=1).mean() / np.linalg.norm(found - mean, axis=1).mean()
    found = mean + (found - mean) * spread
    rows[new], biases[new] = found[:, :rank], found[:, rank]
    scores = seen[new] @ rows.T + biases
    share = float((scores.argmax(1) == np.flatnonzero(new)).mean())
    biases[new] -= RESERVE
    network.classify.weight[1:] = torch.from_numpy(rows).float()
    network.classify.bias[1:] = torch.from_numpy(biases).float()
    return share
