"""Every setting of the gateway and its workers, read from environment variables named ``OCR_*``.

One object, validated once at start. All mistakes are reported together, each naming its variable
(:class:`SettingsError`). ``docs/settings.md`` lists the same settings for operators.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic.functional_validators import AfterValidator, BeforeValidator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker.constraints import lexicon_words, parse_charset

ENV_PREFIX = "OCR_"
WEEK_SECONDS = 7 * 24 * 3600
MOST_LEXICON_BYTES = 2**20
DATA_FOLDER = Path("data")


def _split(value: object) -> object:
    """``"a, b"`` from the environment becomes ``("a", "b")``."""
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _names_a_host(address: str, *schemes: str) -> bool:
    """Whether it is a URL of one of ``schemes`` with a host, and a port that there can be or none."""
    try:
        parts = urlsplit(address)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # whose message may quote a piece of a password
        return False


def _are_web_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_names_a_host(address, "http", "https") for address in addresses):
        raise ValueError("an address begins with http:// or https:// and names a host")
    return addresses


def _is_redis_address(address: SecretStr | None) -> SecretStr | None:
    if address is not None:
        url = address.get_secret_value()
        if not _names_a_host(url, "redis", "rediss") or not re.fullmatch(r"/?|/\d+", urlsplit(url).path):
            raise ValueError("a Redis address is redis://host:port/db, or rediss:// for TLS")
    return address


def _is_web_address(address: str | None) -> str | None:
    _are_web_addresses(() if address is None else (address,))
    return address


def _are_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname):
            raise ValueError("an origin is scheme://host or scheme://host:port, nothing more, or *")
    return origins


def _unset_when_empty(value: object) -> object:
    """An empty variable is one that compose passes on unset; as a path it would be the current folder, and as a key
    one that opens nothing."""
    return None if value == "" else value


def _data_when_empty(value: object) -> object:
    return DATA_FOLDER if value == "" else value


def _is_charset(text: str) -> str:
    return parse_charset(text) if text else ""


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
OptionalPath = Annotated[Path | None, BeforeValidator(_unset_when_empty)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_unset_when_empty)]
WebAddresses = Annotated[CommaSeparated, AfterValidator(_are_web_addresses)]


class SettingsError(ValueError):
    """The environment does not make a valid configuration; the message has one line per mistake."""


class Settings(BaseSettings):
    """The whole configuration. Sizes are in bytes, times in seconds, unless a name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore", populate_by_name=True)

    # --- the web server -------------------------------------------------------------------
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(
        5000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("OCR_PORT", "PORT"),
        description="Port to listen on; `PORT` is understood too. 0 takes a free one.",
    )
    web_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Web processes. More than one needs `OCR_READER=queue`: each in-process reader loads the model.",
    )
    web_threads: int = Field(16, ge=1, le=256, description="Threads in each web process.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")

    # --- what is accepted -----------------------------------------------------------------
    max_upload_bytes: int = Field(20 * 2**20, ge=1024, description="Largest image that is accepted.")
    max_pixels: int = Field(
        50_000_000,
        ge=10_000,
        description="Most pixels over all pages of one upload, checked before decoding.",
    )
    max_pages: int = Field(20, ge=1, le=1000, description="Most pages of one PDF or TIFF read in one request.")
    max_batch: int = Field(16, ge=1, le=256, description="Most images in one multipart request.")
    pdf_dpi: int = Field(200, ge=72, le=600, description="Resolution at which PDF pages are drawn.")

    # --- results and their lifetime -------------------------------------------------------
    ttl: int = Field(
        WEEK_SECONDS,
        ge=1,
        le=WEEK_SECONDS,
        description="Lifetime of a result, counted from its reading; no tier and no copy extends it.",
    )
    stale_if_error: int = Field(
        60,
        ge=0,
        le=3600,
        description="Seconds past its end for which caches may answer a result while no gateway is there; 0: none.",
    )
    match: Literal["exact", "near"] = Field(
        "near",
        description="`near` also answers from verified copies of known documents; `exact` never does.",
    )
    match_shadow: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the answers from copies that are read afterwards and compared, when the reader is idle.",
    )
    # A limit that is lowered costs lines to be read again; none can be raised above what was measured to be safe.
    match_least_limit: float | None = Field(
        None,
        ge=0.05,
        le=0.12,
        description="Stroke residual a line may have on the cleanest page; lower: more lines are read again.",
    )
    match_most_limit: float | None = Field(
        None,
        ge=0.05,
        le=0.14,
        description="Stroke residual a line may have on the noisiest page; lower: more lines of poor copies are read.",
    )
    match_least_ideograph_limit: float | None = Field(
        None,
        ge=0.05,
        le=0.1,
        description="`OCR_MATCH_LEAST_LIMIT` for lines with ideographs, some of which differ in one short stroke.",
    )
    match_most_ideograph_limit: float | None = Field(
        None,
        ge=0.05,
        le=0.1,
        description="`OCR_MATCH_MOST_LIMIT` for lines with ideographs.",
    )
    match_most_outside: float | None = Field(
        None,
        ge=0.05,
        le=0.20,
        description="Ink outside all lines that only one picture may have; lower: fainter stamps and marks are a miss.",
    )
    match_doubtful_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of a page's lines that may be read again; with more in doubt the whole page is read.",
    )

    # --- stores ---------------------------------------------------------------------------
    data_dir: Annotated[Path, BeforeValidator(_data_when_empty)] = Field(
        DATA_FOLDER, description="Folder of the embedded store."
    )
    redis_url: Annotated[SecretStr | None, AfterValidator(_is_redis_address)] = Field(
        None,
        description="`redis://` or `rediss://` URL of the hot tier; unset: no Redis.",
    )
    redis_timeout: float = Field(
        0.25,
        gt=0,
        le=10,
        description="Longest wait for Redis before it counts as a miss.",
    )
    s3_bucket: str | None = Field(None, min_length=3, description="Bucket of the durable tier; unset: no S3.")
    s3_endpoint: Annotated[str | None, AfterValidator(_is_web_address)] = Field(
        None, description="Endpoint URL of an S3-compatible service; unset: AWS."
    )
    s3_region: str = Field("us-east-1", description="Region to sign for.")
    s3_access_key: OptionalSecret = Field(None, description="Access key id; unset: the SDK's own chain.")
    s3_secret_key: OptionalSecret = Field(None, description="Secret access key.")
    s3_prefix: str = Field("ocr/", description="Prefix of every object's key.")
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto",
        description="Addressing style; Aliyun OSS needs `virtual`, most self-hosted servers `path`.",
    )
    s3_checksums: Literal["when_required", "when_supported"] = Field(
        "when_required",
        description="When the SDK adds and checks flexible checksums; many services lack them.",
    )
    s3_encryption: Literal["none", "AES256", "aws:kms"] = Field(
        "none", description="Server-side encryption to ask for."
    )
    s3_timeout: float = Field(5.0, gt=0, le=60, description="Longest wait for one call to S3.")

    # --- recognition ----------------------------------------------------------------------
    reader: Literal["local", "queue"] = Field(
        "local",
        description="`local`: a spawned process beside the gateway; `queue`: worker processes through Redis.",
    )
    reader_processes: int = Field(1, ge=1, le=64, description="Reader processes on this machine.")
    reader_threads: int = Field(0, ge=0, le=64, description="Threads of one reader process; 0: cores divided evenly.")
    read_timeout: float = Field(60.0, gt=0, le=3600, description="Deadline of one reading.")
    queue_limit: int = Field(64, ge=1, le=100_000, description="Readings that may wait; more are refused with 503.")
    engine: Literal["onnx", "torch"] = Field("onnx", description="Inference engine; `torch` needs the `[torch]` extra.")
    second_reader: Literal["off", "ppocr"] = Field(
        "ppocr",
        description="`ppocr`: PP-OCRv6 small reads doubtful lines again, and the better reading counts.",
    )
    second_reader_below: float = Field(
        0.7, ge=0, le=1, description="Lines scored under this are doubtful; what 0 and 1 cost is in recogniser.md."
    )
    charset: Annotated[str, AfterValidator(_is_charset)] = Field(
        "", description="Characters that any text is made of, as in `charset=`, which goes before it; unset: all."
    )
    lexicon_file: OptionalPath = Field(
        None, description="File of words that any text may hold, one a line; those of `lexicon=` join them."
    )

    # --- who may ask ----------------------------------------------------------------------
    api_keys_file: OptionalPath = Field(
        None, description="File of tenants and the digests of their API keys; unset: open mode, nobody needs a key."
    )
    signing_key_file: OptionalPath = Field(
        None, description="File of the keys that sign links, 64 hex digits a line; unset: no links are signed."
    )
    signed_url_seconds: int = Field(
        900, ge=1, le=WEEK_SECONDS, description="How long a signed link opens its result, at most."
    )

    # --- the edge -------------------------------------------------------------------------
    edge_purge_urls: WebAddresses = Field(
        (),
        description="Admin address of each edge, such as `http://edge:8081`, comma-separated; deletions wait for all.",
    )
    edge_purge_timeout: float = Field(2.0, gt=0, le=30, description="Longest wait for one edge to purge.")
    shield_purge_urls: WebAddresses = Field(
        (),
        description="Admin address of each shield, the edges that the others fill themselves from; purged before them.",
    )
    cdn_purge_url: Annotated[str | None, AfterValidator(_is_web_address)] = Field(
        None,
        description="Where a CDN in front takes purges: JSON by POST, in Cloudflare's shape; deletions wait for it.",
    )
    cdn_purge_token: OptionalSecret = Field(None, description="Bearer token for that address.")
    cdn_purge_by: Literal["url", "tag"] = Field(
        "url", description="Purge by `url`, or by `tag`: answers then carry `Cache-Tag` and `Surrogate-Key`."
    )
    cdn_public_urls: WebAddresses = Field(
        (), description="Base URLs under which clients reach results through the CDN, comma-separated."
    )
    cors_origins: Annotated[CommaSeparated, AfterValidator(_are_origins)] = Field(
        (),
        description="Origins whose pages may call the API, comma-separated; `*` allows any.",
    )

    def lexicon_words(self) -> tuple[str, ...]:
        """The words of the lexicon file. Raises :class:`SettingsError` naming what is wrong with it."""
        if self.lexicon_file is None:
            return ()
        try:
            if self.lexicon_file.stat().st_size > MOST_LEXICON_BYTES:
                raise ValueError(f"it has more than {MOST_LEXICON_BYTES} bytes")
            return lexicon_words(self.lexicon_file.read_text("utf-8-sig").splitlines())
        except UnicodeDecodeError:
            reason = "it is not UTF-8"
        except ValueError as error:
            reason = str(error)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        raise SettingsError(f"OCR_LEXICON_FILE: {reason}")

    @model_validator(mode="after")
    def _combinations(self) -> Settings:
        mistakes = []
        if self.reader == "queue" and self.redis_url is None:
            mistakes.append("OCR_READER=queue needs OCR_REDIS_URL")
        if self.web_processes > 1 and self.reader == "local":
            mistakes.append("OCR_WEB_PROCESSES above 1 needs OCR_READER=queue")
        for least, most in (("least_limit", "most_limit"), ("least_ideograph_limit", "most_ideograph_limit")):
            low, high = getattr(self, f"match_{least}"), getattr(self, f"match_{most}")
            if low is not None and high is not None and low > high:
                mistakes.append(f"OCR_MATCH_{least.upper()} is above OCR_MATCH_{most.upper()}")
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            mistakes.append("OCR_S3_ACCESS_KEY and OCR_S3_SECRET_KEY are set together or not at all")
        if self.s3_bucket is None and self.s3_endpoint is not None:
            mistakes.append("OCR_S3_ENDPOINT needs OCR_S3_BUCKET")
        if self.cdn_purge_url is not None and self.cdn_purge_by == "url" and not self.cdn_public_urls:
            mistakes.append("OCR_CDN_PURGE_BY=url needs OCR_CDN_PUBLIC_URLS")
        if self.signing_key_file is not None and self.api_keys_file is None:
            mistakes.append("OCR_SIGNING_KEY_FILE needs OCR_API_KEYS_FILE: in open mode nothing is signed")
        try:
            self.lexicon_words()
        except SettingsError as error:
            mistakes.append(str(error))
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, ``overrides`` first. Raises :class:`SettingsError` with every mistake."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        mistakes = error.errors()
    # Settings that contradict each other are only looked at when each is valid for itself.
    defaults = {
        _field(mistake): Settings.model_fields[_field(mistake)].default for mistake in mistakes if mistake["loc"]
    }
    if defaults:
        try:
            Settings(**{**overrides, **defaults})
        except ValidationError as error:
            mistakes += error.errors()
    raise SettingsError("\n".join(_describe(mistake) for mistake in mistakes))


def _field(mistake: ErrorDetails) -> str:
    name = str(mistake["loc"][0])
    return name.removeprefix(ENV_PREFIX).lower()


def _describe(mistake: ErrorDetails) -> str:
    reason = mistake["msg"].removeprefix("Value error, ")
    return f"{ENV_PREFIX}{_field(mistake).upper()}: {reason}" if mistake["loc"] else reason
