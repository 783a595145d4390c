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

MOST_SAMPLES = 12_000

_RIDGE = 2.0
_POWERS = [np.round(255.0 * (np.arange(256) / 255.0) ** n).astype(np.uint8) for n in (2, 3)]
_REDUCTION = 4  # slow things, shade and gain, are computed on an image this many times smaller


class Capture(NamedTuple):
    """``expected``: float32 (h, w), the proof as this capture would show it; ``seen``: float32 (h, w), the query.
    Both without their slow shading (high-passed), in grey levels. ``weights``: float64 (5,) of the mix.
    ``gain``: median of the local gain. ``contrast``: uint8 (h, w), local range of the proof in 5 x 5 pixels."""

    expected: np.ndarray
    seen: np.ndarray
    weights: np.ndarray
    gain: float
    contrast: np.ndarray


def model_capture(
    proof: np.ndarray, query: np.ndarray, text: np.ndarray, inside: np.ndarray, line_height: float
) -> Capture | None:
    """Fit the capture that turns ``proof`` (uint8 (h, w)) into ``query`` (uint8 (h, w)) where ``text & inside``
    (bool (h, w)). ``line_height``: median, pixels. ``None`` when there is nothing to fit."""
    basis = capture_basis(proof)
    contrast = local_range(basis[0])
    sample = _strong_pixels(contrast, text, inside)
    if len(sample) < 50:
        return None
    height, width = proof.shape
    shading = 4.0 * line_height, 2.0 * line_height
    means = [_local_mean(image, shading) for image in basis]
    factor = _reduction(proof.shape)
    coarse = np.minimum(sample // width // factor, means[0].shape[0] - 1) * means[0].shape[1] \
        + np.minimum(sample % width // factor, means[0].shape[1] - 1)
    seen = high_pass(cv2.GaussianBlur(query, (0, 0), PRE_BLUR), shading)
    weights = robust_mix(
        np.stack([image.ravel()[sample] - mean.ravel()[coarse] for image, mean in zip(basis, means, strict=True)],
                 axis=1), seen.ravel()[sample])
    mixed = _mix(basis, weights)
    mixed -= cv2.resize(_mix(means, weights), (width, height))
    gain = local_gain(mixed, seen, (4.4 * line_height, 1.8 * line_height), coarse)
    median_gain = float(np.median(gain.ravel()[coarse]))
    mixed *= cv2.resize(gain, (width, height))
    return Capture(mixed, seen, weights, median_gain, contrast)


def capture_basis(proof: np.ndarray) -> list[np.ndarray]:
    """Five uint8 (h, w) images of ``proof`` (uint8 (h, w)): at :data:`BLURS`, its square and its cube (in grey
    levels)."""
    blurred = [cv2.GaussianBlur(proof, (0, 0), sigma) for sigma in BLURS]
    return blurred + [cv2.GaussianBlur(cv2.LUT(proof, power), (0, 0), PRE_BLUR) for power in _POWERS]


def _mix(images: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """float32 (h, w): the weighted sum of five images."""
    a, b, c, d, e = weights.tolist()
    total = cv2.addWeighted(images[0], a, images[1], b, 0, dtype=cv2.CV_32F)
    total += cv2.addWeighted(images[2], c, images[3], d, 0, dtype=cv2.CV_32F)
    total += cv2.addWeighted(images[4], e, images[4], 0, 0, dtype=cv2.CV_32F)
    return total


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


def local_gain(expected: np.ndarray, seen: np.ndarray, window: tuple[float, float], sample: np.ndarray) -> np.ndarray:
    """float32, coarser than the images: regression of ``seen`` on ``expected`` (float32 (h, w)) in ``window`` (w, h)
    pixels, in :data:`GAIN_LIMITS`, drawn towards 1 where there is little to see. ``sample``: flat indices of inked
    pixels on the coarse grid."""
    covariance = _local_mean(expected * seen, window)
    variance = _local_mean(expected * expected, window)
    prior = 0.05 * float(np.median(variance.ravel()[sample])) + 1e-3
    return np.clip((covariance + prior) / (variance + prior), *GAIN_LIMITS)


def dot_response(weights: np.ndarray, diameter: float, paper: float, ink: float) -> float:
    """How strongly a dot of ``diameter`` pixels shows in this capture, as its 3 x 3 mean in grey levels.

    ``weights``: (5,) of :func:`robust_mix`; ``paper``, ``ink``: grey levels.
    """
    side = 31
    y, x = np.mgrid[:side, :side].astype(np.float32) - side // 2
    coverage = np.clip(diameter / 2 + 0.5 - np.hypot(x, y), 0, 1)
    dot = np.round(paper + (ink - paper) * coverage).astype(np.uint8)
    shown = _mix(capture_basis(dot), weights)
    return float(np.abs(cv2.blur(shown - shown[0, 0], (3, 3))).max())


def high_pass(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """float32 (h, w): ``image`` (h, w) without its mean over about ``window`` (w, h) pixels."""
    height, width = image.shape
    return cv2.subtract(image, cv2.resize(_local_mean(image, window), (width, height)), dtype=cv2.CV_32F)


def _local_mean(image: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """float32: the mean of ``image`` (h, w) over about ``window`` (w, h) pixels, on a grid coarser by
    :func:`_reduction`."""
    factor = _reduction(image.shape)
    small = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.blur(small, (odd(window[0] / factor), odd(window[1] / factor)), borderType=cv2.BORDER_REFLECT)


def _reduction(shape: tuple[int, ...]) -> int:
    return _REDUCTION if min(shape) >= 8 * _REDUCTION else 1


def local_range(image: np.ndarray) -> np.ndarray:
    """The highest minus the lowest level within 5 x 5 pixels, in the type of ``image`` (h, w)."""
    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(image, kernel) - cv2.erode(image, kernel)


def odd(value: float) -> int:
    """The odd integer just above ``value``, at least 3."""
    return max(3, 2 * int(value / 2) + 1)


def _strong_pixels(contrast: np.ndarray, text: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Flat indices of pixels with a strong contrast (uint8 (h, w)): every third, and at most about
    :data:`MOST_SAMPLES`."""
    places = np.flatnonzero(text)[::3]
    if not len(places):
        return places
    levels = contrast.ravel()[places]
    strong = places[(levels > STRONG_CONTRAST * level_at(levels, 0.85)) & inside.ravel()[places]]
    return strong[::max(1, len(strong) // MOST_SAMPLES)]


def level_at(levels: np.ndarray, share: float) -> int:
    """The smallest of ``levels`` (uint8 (n,), n > 0) that at least ``share`` of them do not exceed."""
    counts = np.cumsum(np.bincount(levels, minlength=256))
    return int(np.searchsorted(counts, share * counts[-1]))
