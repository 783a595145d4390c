"""Which format some bytes are in. Names and headers sent along with them are not asked."""

from __future__ import annotations

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC", "PDF")

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)
# Sizes of the header that follows BMP's file header; "BM" alone is also how many a text begins.
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_NEUTRAL_BRANDS = {b"mif1", b"msf1"}
# Adobe's implementation note 13 (PDF Reference 1.7, appendix H): the header lies in the first 1024 bytes.
_PDF_HEADER_WITHIN = 1024


def sniff(upload: bytes) -> str | None:
    """One of :data:`FORMATS`, or ``None``."""
    for signature, name in _SIGNATURES:
        if upload.startswith(signature):
            return name
    if upload[:4] == b"RIFF" and upload[8:12] == b"WEBP":
        return "WEBP"
    if upload[:2] == b"BM" and int.from_bytes(upload[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if upload[4:8] == b"ftyp":
        return _sniff_heif(upload)
    if b"%PDF-" in upload[:_PDF_HEADER_WITHIN]:
        return "PDF"
    return None


def _sniff_heif(upload: bytes) -> str | None:
    """AVIF and HEIC share a container (ISO/IEC 23008-12); its brands tell them apart."""
    major = upload[8:12]
    if major in _AVIF_BRANDS:
        return "AVIF"
    if major in _HEIC_BRANDS:
        return "HEIC"
    if major not in _NEUTRAL_BRANDS:
        return None
    end = min(int.from_bytes(upload[:4], "big"), 256)
    compatible = {upload[at : at + 4] for at in range(16, end, 4)}
    if compatible & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if compatible & _HEIC_BRANDS else None
