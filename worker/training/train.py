"""Training: CTC on drawn lines, a teacher's word on drawn and real ones, Adam, a moving average, runs that resume.

What the first weights know is held: their classifier rows stay as they are, their convolutions stand still at first
and move little later. Chunk ``k`` of the data is a pure function of the settings and ``k``, so a resumed run sees the
lines it would have seen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from worker.charset import Charset
from worker.crnn import Crnn
from worker.training import checkpoint
from worker.training.batch import Batch
from worker.training.curve import Curve
from worker.training.data import Chunks, Mixture
from worker.training.losses import ctc_loss, teacher_loss

log = logging.getLogger(__name__)

CHUNKS = "chunks"
"""Where a run's folder keeps the chunks that the teacher has seen."""


@dataclass(frozen=True)
class TrainConfig:
    """What a run is made of. Learning rates are peaks; ``pixels`` bounds a batch (lines x padded width)."""

    seed: int = 1
    steps: int = 4200
    chunk: int = 1024
    pixels: int = 12_000
    scene: float = 0.0
    real: float = 0.0
    """Shares of scene lines and of collected lines."""
    collected: str = ""
    """Folder of the collected lines."""
    distinct: int = 0
    """Chunks that are seen in rotation; 0: each once."""
    teacher: float = 0.0
    """The teacher's share in the loss; 0: no teacher."""
    hold: bool = True
    """Whether the blank's and the known characters' classifier rows stay."""
    lr_pretrained: float = 3e-5
    lr_new: float = 1e-3
    frozen: float = 0.35
    """Share of the steps in which everything of the warm start keeps its weights."""
    still: int = 0
    """So many blocks, and the stem below them, keep their weights for good: half the time of a step on a CPU."""
    warmup: float = 0.057
    decay: float = 0.35
    """Shares of the steps in which the learning rates rise and fall."""
    negatives: int = 1536
    """Classes drawn for a step's loss besides those that its lines contain; 0 for all classes."""
    clip: float = 1.0
    ema: float = 0.998
    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto``: CUDA where there is a device."""
    bf16: bool = True
    workers: int = 1
    threads: int = 1
    save_every_s: float = 180.0

    def mixture(self, folder: Path, fresh: str, fonts: tuple[Path, ...]) -> Mixture:
        """What the lines of a run in ``folder`` are."""
        return Mixture(
            seed=self.seed,
            chunk=self.chunk,
            scene=self.scene,
            real=self.real,
            collected=Path(self.collected) if self.collected else None,
            fresh=fresh,
            fonts=fonts,
            taught=self.teacher > 0,
            kept=folder / CHUNKS if self.teacher else None,
        )


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
        self.device = device_named(config.device)
        self.network = network.to(self.device, memory_format=torch.channels_last)
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
        lowest = (network.stem1, network.stem2, *network.blocks[: config.still]) if config.still else ()
        self._still = {id(parameter) for module in lowest for parameter in module.parameters()}
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
            trainer.average = {name: value.to(trainer.device) for name, value in state["average"].items()}
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
        data = self._chunks()
        for chunk in self._loaded(data, range(self.chunk, len(data))):
            yield from chunk
            self.chunk += 1

    def teach(self, chunks: range) -> None:
        """Asks the teacher about these chunks ahead of training, in ``workers`` processes."""
        if not self.config.teacher:
            raise ValueError("a run without a teacher keeps no chunks")
        for count, _ in enumerate(self._loaded(self._chunks(), chunks), 1):
            log.info("%d of %d chunks", count, len(chunks))

    def _chunks(self) -> Chunks:
        config = self.config
        mixture = config.mixture(self.folder, "".join(self.charset.characters[self.known :]), self._fonts)
        return Chunks(self.charset, self.network.config, mixture, config.pixels, config.negatives, config.distinct)

    def _loaded(self, data: Chunks, numbers: range) -> DataLoader:
        workers = self.config.workers
        return DataLoader(
            data,
            sampler=numbers,
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            prefetch_factor=2 if workers else None,
            pin_memory=self.device.type == "cuda",
        )

    def update(self, batch: Batch) -> dict[str, float]:
        """One step; returns the losses and the new parameters' gradient norm by name."""
        config = self.config
        factor = rate(self.step, config)
        thawed = self.step - config.frozen * config.steps
        # Adam begins at the thaw with an empty memory: its first steps are the largest, hence a rise of its own.
        own = [factor * min(1.0, max(0.0, thawed / 200)), factor]
        for group, share in zip(self.optimiser.param_groups, own, strict=True):
            group["lr"] = group["peak"] * share
        for parameter in self.pretrained:
            parameter.requires_grad_(thawed >= 0 and id(parameter) not in self._still)
        batch = batch.to(self.device)
        images = batch.inputs().contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            embeddings = self.network.embeddings(self.network.columns(images))
            classify = self.network.classify
            logits = F.linear(embeddings, classify.weight[batch.classes], classify.bias[batch.classes])
        logits = logits.float() + batch.added
        losses = {"ctc": ctc_loss(logits, batch)}
        if config.teacher:
            losses["teacher"] = teacher_loss(logits, batch)
        shares = {"ctc": 1 - config.teacher, "teacher": config.teacher}
        self.optimiser.zero_grad(set_to_none=True)
        sum(shares[name] * loss for name, loss in losses.items()).backward()
        if config.hold:
            for parameter in classify.parameters():
                parameter.grad[: self.known + 1] = 0
        norms = [nn.utils.clip_grad_norm_(group, config.clip) for group in (self.pretrained, self.new)]
        if all(torch.isfinite(norm) for norm in norms):
            self.optimiser.step()
        self.step += 1
        decay = min(config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        return {name: loss.item() for name, loss in losses.items()} | {"gradient_norm": norms[1].item()}

    def run(self) -> None:
        """Trains to the last step; logs to ``curve.csv``, to TensorBoard where it is installed, and to the logger.

        Saves every few minutes and in the end, also when it is interrupted.
        """
        self.network.train()
        try:
            with Curve(self.folder) as curve:
                self._loop(curve)
        finally:
            self.save()

    def _loop(self, curve: Curve) -> None:
        logged = saved = time.monotonic()
        lines, rows = 0, []
        for batch in self.batches():
            if self.step >= self.config.steps:
                return
            rows.append(self.update(batch))
            lines += len(batch.lengths)
            now = time.monotonic()
            if self.step % 50 == 0:
                means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
                curve.add(self.step, lines_per_s=lines / (now - logged), rate=rate(self.step, self.config), **means)
                logged, lines, rows = now, 0, []
            if now - saved > self.config.save_every_s:
                self.save()
                saved = now


def device_named(name: str) -> torch.device:
    """``cpu``, ``cuda``, or ``auto``. Raises ``ValueError`` for CUDA where there is none, or another name."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError("a device is auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
