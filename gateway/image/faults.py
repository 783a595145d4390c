"""What decoders raise → what is answered."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from gateway.errors import BrokenImage, Overloaded, Refusal
from gateway.image.pages import ImageLimits, too_many_pixels

logger = logging.getLogger(__name__)

BROKEN = "The image is cut off or damaged. Send it again, or save it anew."


@contextmanager
def decoding(limits: ImageLimits) -> Iterator[None]:
    """Turn whatever a decoder of hostile bytes raises into a refusal.

    Its message may quote the file, so only its type and place are logged and it is not chained.
    """
    try:
        yield
    except Refusal:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(limits) from None
    except MemoryError:
        raise Overloaded("Not enough memory to decode the image now.", retry_after=5) from None
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        logger.info("image refused: %s in %s:%s", type(error).__name__, frame.name, frame.lineno)
        raise BrokenImage(BROKEN) from None
