"""The images and the options in a request: multipart, JSON with base64, or a raw body.

Sizes are limited while the body is read, before anything is parsed or decoded.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import math
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import BadRequest, TooLarge, UnsupportedImage
from gateway.identity import Options
from gateway.image import PageRange
from gateway.service import MatchMode
from worker.constraints import parse_charset, parse_lexicon, parse_pattern

QUERY_NAMES = frozenset({"match", "layout", "min_score", "pages", "format", "charset", "lexicon", "pattern", "detail"})
FORMATS = ("json", "text", "hocr", "csv")
_MEDIA_TYPES = {
    "application/json": "json",
    "text/plain": "text",
    "text/csv": "csv",
    "text/vnd.hocr+html": "hocr",
}
# A range with a parameter is met by what has it (RFC 9110, 12.5.1), and every answer is in UTF-8.
_REPRESENTATIONS = _MEDIA_TYPES | {f"{name}; charset=utf-8": clothes for name, clothes in _MEDIA_TYPES.items()}
# What multipart and JSON add around the images themselves.
_ENVELOPE_BYTES = 64 * 1024
# A form may weigh this many images of the largest size, however many images it holds; the edge has the same bound.
_FORM_IMAGES = 4
_PAGE = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
_NAME = re.compile(r"[\w.-]{1,40}")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+", re.ASCII)


class _Upload(msgspec.Struct, forbid_unknown_fields=True):
    image: str = ""


# Decodes straight to this type: anything else in the body is refused where it begins, and never built.
_UPLOAD = msgspec.json.Decoder(_Upload)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the query asks for. ``min_score`` in 0..1 filters this answer only."""

    options: Options
    match: MatchMode
    min_score: float
    format: str


def read_wishes(request: Request) -> Wishes:
    """The query parameters. Raises :class:`BadRequest` naming what is wrong or unknown."""
    _check_names(request, QUERY_NAMES)
    match = _choice(request, "match", ("near", "exact", "none"), "near")
    layout = _choice(request, "layout", ("auto", "line"), "auto")
    pages = str(PageRange.parse(request.args["pages"])) if "pages" in request.args else ""
    return Wishes(
        Options(
            layout=layout,  # type: ignore[arg-type]
            pages=pages,
            charset=_canonical(request, "charset", parse_charset),
            lexicon=_canonical(request, "lexicon", parse_lexicon),
            pattern=_canonical(request, "pattern", parse_pattern),
            detail=_choice(request, "detail", ("lines", "characters"), "lines"),  # type: ignore[arg-type]
        ),
        cast(MatchMode, match),
        _score(request.args.get("min_score", "0")),
        _choice(request, "format", FORMATS, _accepted(request)),
    )


def read_page(request: Request) -> int:
    """The query's ``page``, counted from 1, which it is without one. Raises :class:`BadRequest`."""
    _check_names(request, frozenset({"page"}))
    page = request.args.get("page", "1")
    if not _PAGE.fullmatch(page):
        raise BadRequest("`page` must be the number of one page, counted from 1.")
    return int(page)


def read_image(request: Request, max_bytes: int, max_images: int) -> bytes:
    """Like :func:`read_images`, where one is wanted. Raises :class:`BadRequest` when there are more."""
    images = read_images(request, max_bytes, max_images)
    if len(images) > 1:
        raise BadRequest("One image only at this address; send several to `POST /ocr`.")
    return images[0]


def read_images(request: Request, max_bytes: int, max_images: int) -> list[bytes]:
    """The uploaded images, in order: at least one, each of at most ``max_bytes`` bytes.

    Raises :class:`BadRequest`, :class:`TooLarge`, :class:`UnsupportedImage`.
    """
    kind = (request.mimetype or "").lower()
    try:
        if kind == "multipart/form-data":
            images = _from_form(request, max_bytes, max_images)
        elif kind == "application/json":
            images = [_from_json(request, max_bytes)]
        elif kind.startswith("image/") or kind in ("application/pdf", "application/octet-stream"):
            images = [_body(request, max_bytes)]
        elif not kind and not request.content_length and "Transfer-Encoding" not in request.headers:
            raise BadRequest("There is no image in the request; send one as a multipart field named `image`.")
        else:
            raise UnsupportedImage(
                "Send multipart/form-data with a field `image`, JSON with base64 in `image`, or the image itself, "
                "with a Content-Type of `image/*`, `application/pdf` or `application/octet-stream`."
            )
    except RequestEntityTooLarge:
        raise _too_large(max_bytes) from None
    if max(map(len, images)) > max_bytes:
        raise _too_large(max_bytes)
    return images


def _from_form(request: Request, max_bytes: int, max_images: int) -> list[bytes]:
    if not request.mimetype_params.get("boundary"):
        raise BadRequest("The Content-Type has no boundary; leave that header to the HTTP library, which knows it.")
    request.max_content_length = max_bytes * min(max_images, _FORM_IMAGES) + _ENVELOPE_BYTES
    request.max_form_parts = max_images + 1
    try:
        names = (*request.files, *request.form)
    except RequestEntityTooLarge:
        # All its bytes, its parts, one part's head or a part that is no file: werkzeug does not say which.
        raise TooLarge(
            f"A form may hold {max_images} images at most, of {max_bytes} bytes each and four times that together, "
            "as files, and little besides."
        ) from None
    for name in names:
        if name in QUERY_NAMES:
            raise BadRequest(f"`{name}` belongs in the query, as in `/ocr?{name}=`; the form has only `image`.")
        if name != "image":
            raise BadRequest(f"The form field {_named(name)} is unknown; there is only `image`.")
    if "image" in request.form:
        raise BadRequest("The form field `image` must be a file; with curl, write `-F image=@invoice.jpg`.")
    files = request.files.getlist("image")
    if not files:
        raise BadRequest("There is no image in the request, or not a whole one; send it as the form field `image`.")
    if len(files) > max_images:
        raise TooLarge(f"At most {max_images} images may be sent in one request.")
    return [file.read(max_bytes + 1) for file in files]


def _from_json(request: Request, max_bytes: int) -> bytes:
    body = _body(request, 4 * math.ceil(max_bytes / 3) + _ENVELOPE_BYTES)
    try:
        encoded = _UPLOAD.decode(body.removeprefix(codecs.BOM_UTF8)).image
    except msgspec.ValidationError as error:
        # msgspec: Object contains unknown field `…`
        if found := re.search(r"unknown field `(.*)`", str(error)):
            raise BadRequest(f"The JSON member {_named(found[1])} is unknown; there is only `image`.") from None
        raise BadRequest('The body is not of the form {"image": "<base64>"}.') from None
    except ValueError:
        raise BadRequest('The body is not a JSON object in UTF-8; send {"image": "<base64>"}.') from None
    if not encoded:
        raise BadRequest("There is no image in the request; send it as base64 in the JSON member `image`.")
    if encoded.startswith("data:"):
        head, _, encoded = encoded.partition(",")
        if not head.endswith(";base64"):
            raise BadRequest("The data: URL in `image` is not base64.")
    try:
        digits = encoded.encode("ascii").translate(None, string.whitespace.encode())
        return base64.b64decode(digits, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The JSON member `image` is not valid base64.") from None


def _body(request: Request, most: int) -> bytes:
    """The whole body. Raises :class:`RequestEntityTooLarge` beyond ``most`` bytes, read or announced,
    :class:`BadRequest` when there is less than was announced."""
    # One more than allowed: a chunked body is cut at the limit without a word (werkzeug's LimitedStream.readall).
    request.max_content_length = most + 1
    body = request.get_data(cache=False)
    if len(body) > most:
        raise RequestEntityTooLarge
    if request.content_length is not None and len(body) < request.content_length:
        raise BadRequest("The body ended before its Content-Length; send the whole image.")
    return body


def _named(name: str) -> str:
    """``name`` for people, unless it is no name but something to be echoed."""
    return f"`{name}`" if _NAME.fullmatch(name) else "with an odd name"


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"An image may have {max_bytes} bytes at most; send a smaller one.")


def _check_names(request: Request, known: frozenset[str]) -> None:
    for name in request.args:
        if name not in known:
            raise BadRequest(f"`{name}` is not a query parameter here; there are {_listed(sorted(known))}.")
        if len(request.args.getlist(name)) > 1:
            raise BadRequest(f"`{name}` is given more than once.")


def _choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.args.get(name, default)
    if value not in allowed:
        raise BadRequest(f"`{name}` must be one of {_listed(allowed)}.")
    return value


def _canonical(request: Request, name: str, parse: Callable[[str], str]) -> str:
    value = request.args.get(name)
    try:
        return parse(value) if value is not None else ""
    except ValueError as error:
        raise BadRequest(f"`{name}`: {error}.") from None


def _score(value: str) -> float:
    score = float(value) if _NUMBER.fullmatch(value) else math.nan
    if not 0 <= score <= 1:
        raise BadRequest("`min_score` must be a number from 0 to 1.")
    return score


def _accepted(request: Request) -> str:
    if not request.accept_mimetypes:
        return "json"
    return _REPRESENTATIONS[request.accept_mimetypes.best_match(list(_REPRESENTATIONS), "application/json")]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
