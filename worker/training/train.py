"""Training on generated lines: CTC, Adam, an exponential moving average, checkpoints that resume.

What the warm start knows is kept: its classifier rows stay as they are, and its convolutions stand still at first and
move little later. The LSTM and the new characters' rows do the learning. Chunk ``k`` of the data is a pure function of
``(seed, k)``, so a resumed run sees the lines it would have seen.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from worker.charset import BLANK, Charset
from worker.crnn import Crnn
from worker.training import checkpoint
from worker.training.data import Batch, Chunks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of. Learning rates are peaks; ``pixels`` bounds a batch (lines x padded width)."""

    seed: int = 1
    steps: int = 4200
    chunk: int = 1024
    pixels: int = 12_000
    lr_pretrained: float = 3e-5
    lr_new: float = 1e-3
    frozen: float = 0.35
    """Share of the steps in which everything of the warm start keeps its weights."""
    warmup: float = 0.057
    decay: float = 0.35
    """Shares of the steps in which the learning rates rise and fall."""
    negatives: int = 1536
    """Classes drawn for a step's loss besides those that its lines contain; 0 for all classes."""
    clip: float = 1.0
    ema: float = 0.998
    bf16: bool = True
    workers: int = 1
    threads: int = 1
    save_every_s: float = 180.0


def draw_classes(batch: Batch, classes: int, negatives: int, seed: int) -> tuple[Tensor, Tensor, Batch]:
    """The classes of one step's loss: blank, the batch's own, and ``negatives`` of the others at random.

    Returns the class indices (K,), what is added to each one's logit (K,), and the batch with its targets as places in
    (K,). The drawn ones stand for all others (log of the inverse share is added to their logits), so that the sum over
    classes is right on average: importance sampling after Bengio and Senecal (2003).
    """
    needed = np.union1d([BLANK], batch.targets)  # sorted: the blank stays class 0
    others = np.setdiff1d(np.arange(classes), needed, assume_unique=True)
    if 0 < negatives < len(others):
        drawn = np.random.default_rng(seed).choice(others, negatives, replace=False)
    else:
        drawn = others
    chosen = np.concatenate((needed, drawn))
    added = np.zeros(len(chosen), np.float32)
    if len(drawn):
        added[len(needed) :] = np.log(len(others) / len(drawn))
    places = Batch(batch.images, np.searchsorted(needed, batch.targets), batch.lengths)
    return torch.from_numpy(chosen), torch.from_numpy(added), places


def ctc_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood per character. ``logits`` (N, T, classes)."""
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)  # T, N, classes
    steps = torch.full((logits.shape[0],), logits.shape[1])
    targets, lengths = torch.from_numpy(batch.targets), torch.from_numpy(batch.lengths)
    total = F.ctc_loss(log_probs, targets, steps, lengths, reduction="sum", zero_infinity=True)
    return total / max(1, int(batch.lengths.sum()))


def rate(step: int, config: TrainConfig) -> float:
    """The learning rates' common factor, 0..1: a linear rise, a plateau, a linear fall to a fiftieth."""
    rise, fall = max(1, config.warmup * config.steps), max(1, config.decay * config.steps)
    return max(0.02, min(1.0, (step + 1) / rise, (config.steps - step) / fall))


class Trainer:
    """A network under training, its average and its optimiser, kept in ``folder``."""

    def __init__(
        self, network: Crnn, charset: Charset, config: TrainConfig, folder: Path, fonts: tuple[Path, ...], known: int
    ) -> None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        torch.set_flush_denormal(True)
        self.network = network.to(memory_format=torch.channels_last)
        self.charset, self.config, self.folder, self.known = charset, config, folder, known
        self._fonts = fonts
        self.step = self.chunk = 0
        fresh = [network.classify]
        if network.config.lstm:
            fresh += [network.lstm, network.context]
        chosen = {id(parameter) for module in fresh for parameter in module.parameters()}
        parameters = list(network.parameters())
        self.pretrained = [parameter for parameter in parameters if id(parameter) not in chosen]
        self.new = [parameter for parameter in parameters if id(parameter) in chosen]
        groups = [
            {"params": self.pretrained, "peak": config.lr_pretrained},
            {"params": self.new, "peak": config.lr_new},
        ]
        self.optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))
        self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    # -- checkpoints -------------------------------------------------------------------------------------------------
    @classmethod
    def from_folder(cls, folder: Path, config: TrainConfig, fonts: tuple[Path, ...]) -> Trainer:
        """Goes on from the folder's checkpoint, or begins at its warm start."""
        path = folder / checkpoint.CHECKPOINT
        begun = path.exists()
        network, charset, state = checkpoint.read(path if begun else folder / checkpoint.WARM_START)
        trainer = cls(network, charset, config, folder, fonts, state["known"])
        if begun:
            trainer.average = state["average"]
            trainer.optimiser.load_state_dict(state["optimiser"])
            trainer.step, trainer.chunk = state["step"], state["chunk"]
        return trainer

    def save(self) -> None:
        """Writes the folder's checkpoint."""
        more = {
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "chunk": self.chunk,
        }
        checkpoint.write(self.folder / checkpoint.CHECKPOINT, self.network, self.charset, self.known, **more)

    # -- the loop ------------------------------------------------------------------------------------------------------
    def batches(self) -> Iterator[Batch]:
        """Batches from the current chunk on; ``chunk`` counts those that are used up."""
        fresh = "".join(self.charset.characters[self.known :])
        config = self.config
        data = Chunks(self.charset, self.network.config, config.seed, config.chunk, config.pixels, fresh, self._fonts)
        loader = DataLoader(
            data,
            sampler=range(self.chunk, len(data)),
            batch_size=None,
            num_workers=config.workers,
            multiprocessing_context="spawn" if config.workers else None,
            prefetch_factor=2 if config.workers else None,
        )
        for chunk in loader:
            yield from chunk
            self.chunk += 1

    def update(self, batch: Batch) -> tuple[float, float]:
        """One step; returns loss per character and the new parameters' gradient norm."""
        config = self.config
        factor = rate(self.step, config)
        thawed = self.step - config.frozen * config.steps
        # Adam begins at the thaw with an empty memory: its first steps are the largest, hence a rise of its own.
        own = [factor * min(1.0, max(0.0, thawed / 200)), factor]
        for group, share in zip(self.optimiser.param_groups, own, strict=True):
            group["lr"] = group["peak"] * share
        for parameter in self.pretrained:
            parameter.requires_grad_(thawed >= 0)
        images = torch.from_numpy(batch.images).contiguous(memory_format=torch.channels_last)
        seed = config.seed << 32 | self.step
        classes, added, batch = draw_classes(batch, self.charset.classes, config.negatives, seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            embeddings = self.network.embeddings(self.network.columns(images))
            classify = self.network.classify
            logits = F.linear(embeddings, classify.weight[classes], classify.bias[classes])
        loss = ctc_loss(logits.float() + added, batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for parameter in classify.parameters():  # the blank's and the known characters' rows stay
            parameter.grad[: self.known + 1] = 0
        norms = [nn.utils.clip_grad_norm_(group, config.clip) for group in (self.pretrained, self.new)]
        if all(torch.isfinite(norm) for norm in norms):
            self.optimiser.step()
        self.step += 1
        decay = min(config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        return loss.item(), norms[1].item()

    def run(self) -> None:
        """Trains to the last step; logs to ``curve.csv`` and the logger.

        Saves every few minutes and in the end, also when it is interrupted.
        """
        self.network.train()
        try:
            with (self.folder / "curve.csv").open("a", newline="") as file:
                self._loop(file)
        finally:
            self.save()

    def _loop(self, file: TextIO) -> None:
        curve = csv.writer(file)
        if file.tell() == 0:
            curve.writerow(("step", "lines_per_s", "loss", "gradient_norm", "rate"))
        logged = saved = time.monotonic()
        lines, losses = 0, []
        for batch in self.batches():
            if self.step >= self.config.steps:
                return
            loss, norm = self.update(batch)
            lines += len(batch.lengths)
            losses.append(loss)
            now = time.monotonic()
            if self.step % 50 == 0:
                row = (self.step, lines / (now - logged), float(np.mean(losses)), norm, rate(self.step, self.config))
                curve.writerow(f"{value:.5g}" for value in row)
                file.flush()
                log.info("step %d  %.1f lines/s  loss %.4f  norm %.2f  rate %.3f", *row)
                logged, lines, losses = now, 0, []
            if now - saved > self.config.save_every_s:
                self.save()
                saved = now
