"""The isolated decoder: a program of its own, started for one upload by ``isolated.py``; it imports no gateway.

Standard input: the length of the upload in 8 bytes (big-endian), the upload, then JSON answers, one a line.
Standard output: JSON lines, and after each page's line its pixels.

    → {"page_count": n}
    ← {"numbers": [1, 2]}                        pages to decode
    → {"sizes": [[w, h], …]}                     in pixels; of a PDF in points
    ← {"scale": s}                               pixels per point
    → {"width": w, "height": h, "mode": "RGB", "orientation": 1, "rows": r}   a page, then its pixels, r rows at a time
    → {"fault": "encrypted" | "broken"}          at any point, and the end
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys

# Address space beyond what pixels cost: libraries, stacks, and of a PDF fonts and what its streams unpack to.
_SLACK = 160 << 20
# A 10-bit 4:4:4 picture with alpha: its planes, reference frame, 8-bit copies and Pillow's own.
_HEIF_BYTES_PER_PIXEL = 24
# The drawn page, and the scan that lies on it at a higher resolution.
_PDF_BYTES_PER_PIXEL = 12
_STRIP_PIXELS = 1 << 20


def main(image_format: str, max_pixels: int, cpu_seconds: int) -> None:
    # At the soft limit SIGXCPU ends this process and says why; at the hard one SIGKILL would not.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    decode, bytes_per_pixel = (
        (_decode_pdf, _PDF_BYTES_PER_PIXEL) if image_format == "PDF" else (_decode_heif, _HEIF_BYTES_PER_PIXEL)
    )
    _limit_memory(bytes_per_pixel * max_pixels)
    upload = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))
    try:
        decode(image_format, upload)
    except BrokenPipeError:
        pass
    except Exception:  # parsers of hostile bytes may raise anything, and a message could quote the document
        _send(fault="broken")


def _decode_heif(image_format: str, upload: bytes) -> None:
    """AVIF and HEIC: their headers may understate the coded picture, so memory is bounded by what they state."""
    from PIL import AvifImagePlugin, Image

    Image.MAX_IMAGE_PIXELS = None  # the parent decides
    if image_format == "AVIF":
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    else:
        import pillow_heif

        pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
    image = Image.open(io.BytesIO(upload), formats=["AVIF" if image_format == "AVIF" else "HEIF"])
    _send(page_count=1)
    _receive()
    _send(sizes=[image.size])
    _receive()
    _limit_memory(_HEIF_BYTES_PER_PIXEL * image.width * image.height)
    image.load()
    # libheif and libavif report the container's own rotation, which overrules EXIF's: the one applies it,
    # the other leaves it to be applied.
    orientation = image.getexif().get(0x0112, 1)
    rows = _rows(image.width)
    _send(width=image.width, height=image.height, mode=image.mode, orientation=orientation, rows=rows)
    for top in range(0, image.height, rows):
        _write(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes())


def _decode_pdf(image_format: str, upload: bytes) -> None:
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(upload)
    except pypdfium2.PdfiumError as error:
        _send(fault="encrypted" if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD else "broken")
        return
    document.init_forms()  # stamps and filled-in fields are drawn too
    _send(page_count=len(document))
    numbers = _receive()["numbers"]
    _send(sizes=[document.get_page_size(number - 1) for number in numbers])
    scale = _receive()["scale"]
    for number in numbers:
        page = document[number - 1]
        bitmap = page.render(scale=scale, rev_byteorder=True)
        _send(width=bitmap.width, height=bitmap.height, mode=bitmap.mode, orientation=1, rows=_rows(bitmap.width))
        pixels = memoryview(bitmap.buffer).cast("B")
        packed = bitmap.width * bitmap.n_channels
        if bitmap.stride == packed:
            _write(pixels[: packed * bitmap.height])
        else:
            for row in range(bitmap.height):
                _write(pixels[row * bitmap.stride : row * bitmap.stride + packed])
        bitmap.close()
        page.close()


def _rows(width: int) -> int:
    return max(1, _STRIP_PIXELS // width)


def _limit_memory(size: int) -> None:
    """Let the address space grow by ``size`` bytes and some slack, and no more."""
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = used + _SLACK + size
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _send(**message: object) -> None:
    _write(json.dumps(message).encode() + b"\n")


def _write(data: bytes | memoryview) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _receive() -> dict:
    line = sys.stdin.buffer.readline()
    if not line:  # the parent has refused the document
        sys.exit()
    return json.loads(line)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
