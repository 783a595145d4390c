"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from worker.charset import BLANK
from worker.training.batch import Batch

QUIET = 0.05
"""Where the teacher sees less than this of a character at a step and beside it, it sees a blank."""


def ctc_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Negative log-likelihood per character, of the lines whose text is known. ``logits`` (N, T, K)."""
    log_probs = logits.log_softmax(-1).transpose(0, 1)  # T, N, K
    steps = torch.full((logits.shape[0],), logits.shape[1])
    losses = F.ctc_loss(log_probs, batch.targets, steps, batch.lengths, reduction="none", zero_infinity=True)
    known = (batch.lengths > 0).to(losses.device)
    return (losses * known).sum() / max(1, int(batch.lengths.sum()))


def teacher_loss(logits: Tensor, batch: Batch) -> Tensor:
    """What the teacher says and the network does not, in nats per character that the teacher sees.

    ``logits`` (N, T, K).
    Where CTC networks name a character wanders: these two do so at the same step or one beside it. So what the teacher
    says at a step is looked for there and on both sides, and blanks are taught where no character is near. Comparing
    step with step moves the characters first, and unlearns much of the rest (docs/recogniser.md).
    """
    log_probs = logits.log_softmax(-1)
    near = F.max_pool1d(log_probs.transpose(1, 2), 3, stride=1, padding=1).transpose(1, 2)
    named = batch.taught != BLANK
    characters = batch.shares * named
    missed = (characters * (characters.clamp_min(1e-6).log() - near.gather(-1, batch.taught))).sum()
    seen = characters.sum(-1)  # N, T
    quiet = F.max_pool1d(seen[:, None], 3, stride=1, padding=1)[:, 0] < QUIET
    blanks = (batch.shares * ~named).sum(-1) * quiet
    return (missed - (blanks * log_probs[..., BLANK]).sum()) / seen.sum().clamp_min(1)
