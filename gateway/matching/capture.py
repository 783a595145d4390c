"""A model of the capture: what a camera, a screen or a codec made of the page, fitted rather than normalised away.

The query's grey levels are explained as a mix of the proof at three blurs, its square and its cube: that covers
defocus, sharpening, gamma and clipping. A local gain over about four characters covers shadow and fading. What is
left over is noise, or another text.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

PRE_BLUR = 0.7
"""Sigma in pixels that both images are smoothed with."""
BLURS = (PRE_BLUR, 1.4, 2.4)
GAIN_LIMITS = (0.4, 2.0)
STRONG_CONTRAST = 0.3
"""Share of the strong local contrasts above which a pixel takes part in the fit."""

MOST_SAMPLES = 15_000

_RIDGE = 2.0


class Capture(NamedTuple):
    """``expected``: float32 (h, w), the proof as this capture would show it; ``seen``: float32 (h, w), the query.
    Both without their slow shading (high-passed), in grey levels. ``weights``: float64 (5,) of the mix.
    ``gain``: median of the local gain. ``contrast``: float32 (h, w), local range of the proof in 5 x 5 pixels."""

    expected: np.ndarray
    seen: np.ndarray
    weights: np.ndarray
    gain: float
    contrast: np.ndarray


def model_capture(
    proof: np.ndarray, query: np.ndarray, text: np.ndarray, inside: np.ndarray, line_height: float
) -> Capture | None:
    """Fit the capture that turns ``proof`` (uint8 (h, w)) into ``query`` (float32 (h, w)) where ``text & inside``
    (bool (h, w)). ``line_height``: median, pixels. ``None`` when there is nothing to fit."""
    basis = capture_basis(proof.astype(np.float32))
    contrast = local_range(basis[0])
    sample = _strong_pixels(contrast, text, inside)
    if len(sample) < 50:
        return None
    shading = odd(4.0 * line_height), odd(2.0 * line_height)
    passed = [high_pass(image, shading) for image in basis]
    seen = high_pass(cv2.GaussianBlur(query, (0, 0), PRE_BLUR), shading)
    weights = robust_mix(np.stack([image.ravel()[sample] for image in passed], axis=1), seen.ravel()[sample])
    mixed = sum(float(weight) * image for weight, image in zip(weights, passed, strict=True))
    gain = local_gain(mixed, seen, (odd(4.4 * line_height), odd(1.8 * line_height)), sample)
    return Capture(gain * mixed, seen, weights, float(np.median(gain.ravel()[sample])), contrast)


def capture_basis(proof: np.ndarray) -> list[np.ndarray]:
    """Five float32 (h, w) images: the proof at :data:`BLURS`, its square and its cube (in grey levels)."""
    blurred = [cv2.GaussianBlur(proof, (0, 0), sigma) for sigma in BLURS]
    powers = [cv2.GaussianBlur(proof ** n * float(255.0 ** (1 - n)), (0, 0), PRE_BLUR) for n in (2, 3)]
    return blurred + powers


def robust_mix(basis: np.ndarray, target: np.ndarray) -> np.ndarray:
    """float64 (k,): weights with which the columns of ``basis`` (n, k) explain ``target`` (n,), by iteratively
    reweighted least squares (Cauchy), so that changed characters don't teach the model."""
    basis, target = basis.astype(np.float64), target.astype(np.float64)
    importance = np.ones(len(target))
    ridge = np.eye(basis.shape[1]) * len(target) * _RIDGE
    mix = np.zeros(basis.shape[1])
    for _ in range(3):
        weighted = basis * importance[:, None]
        mix = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ target)
        error = target - basis @ mix
        spread = 1.4826 * float(np.median(np.abs(error))) + 1e-3
        importance = 1 / (1 + (error / (2.5 * spread)) ** 2)
    return mix


def local_gain(expected: np.ndarray, seen: np.ndarray, window: tuple[int, int], sample: np.ndarray) -> np.ndarray:
    """float32 (h, w) in :data:`GAIN_LIMITS`: regression of ``seen`` on ``expected`` in ``window`` (w, h) pixels,
    drawn towards 1 where there is little to see. ``sample``: flat indices of inked pixels."""
    covariance = cv2.blur(expected * seen, window, borderType=cv2.BORDER_REFLECT)
    variance = cv2.blur(expected * expected, window, borderType=cv2.BORDER_REFLECT)
    prior = 0.05 * float(np.median(variance.ravel()[sample])) + 1e-3
    return np.clip((covariance + prior) / (variance + prior), *GAIN_LIMITS)


def dot_response(weights: np.ndarray, diameter: float, paper: float, ink: float) -> float:
    """How strongly a dot of ``diameter`` pixels shows in this capture, as its 3 x 3 mean in grey levels.

    ``weights``: (5,) of :func:`robust_mix`; ``paper``, ``ink``: grey levels.
    """
    side = 31
    y, x = np.mgrid[:side, :side].astype(np.float32) - side // 2
    coverage = np.clip(diameter / 2 + 0.5 - np.hypot(x, y), 0, 1)
    dot = (paper + (ink - paper) * coverage).astype(np.float32)
    blank = np.full_like(dot, paper)
    shown = sum(float(weight) * (a - b) for weight, a, b in
                zip(weights, capture_basis(dot), capture_basis(blank), strict=True))
    return float(np.abs(cv2.blur(shown, (3, 3))).max())


def high_pass(image: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """``image`` without its mean over ``window`` (w, h) pixels."""
    return image - cv2.blur(image, window, borderType=cv2.BORDER_REFLECT)


def local_range(image: np.ndarray) -> np.ndarray:
    """float32 (h, w): the highest minus the lowest level within 5 x 5 pixels."""
    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(image, kernel) - cv2.erode(image, kernel)


def odd(value: float) -> int:
    """The odd integer just above ``value``, at least 3."""
    return max(3, 2 * int(value / 2) + 1)


def _strong_pixels(contrast: np.ndarray, text: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Flat indices of pixels with a strong contrast: every third, and at most about :data:`MOST_SAMPLES`."""
    if not text.any():
        return np.empty(0, np.int64)
    threshold = STRONG_CONTRAST * float(np.percentile(contrast[text][::4], 85))
    strong = np.flatnonzero((text & inside & (contrast > threshold)).ravel())
    return strong[::max(3, len(strong) // MOST_SAMPLES)]
