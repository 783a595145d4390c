"""Answering from a known document: nominate by hashes, decide by pixels.

``fingerprint`` and ``index.Index`` propose stored documents; ``verify`` compares a page with a proof of one,
``in_frame_of`` sees it as another filling of its form shows itself, for a better fingerprint.
"""

import cv2

from gateway.matching.canonical import Fingerprint, fingerprint
from gateway.matching.query import Query
from gateway.matching.sibling import in_frame_of
from gateway.matching.verdict import DEFAULT_THRESHOLDS, Thresholds, Verdict, verify

__all__ = [
    "DEFAULT_THRESHOLDS",
    "Fingerprint",
    "Query",
    "Thresholds",
    "Verdict",
    "fingerprint",
    "in_frame_of",
    "use_one_thread",
    "verify",
]


def use_one_thread() -> None:
    """Keep OpenCV from starting threads of its own in this process, which already serves in several.

    The one place that sets this; called once when a gateway process starts.
    """
    cv2.setNumThreads(1)
