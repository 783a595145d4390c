# A worker: the same wheel as the gateway, other limits. Build context: the repository's root.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
COPY worker worker
# The wheel, as users install it; PyTorch is not among what serving needs.
RUN pip wheel --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/ocr \
 && /opt/ocr/bin/pip install /wheels/*.whl

FROM python:3.11.14-slim-bookworm
# PDF pages that do not carry their fonts are drawn with these; gateways and workers must draw alike.
RUN apt-get update && apt-get install -y --no-install-recommends fonts-wqy-microhei && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin ocr
COPY --from=build /opt/ocr /opt/ocr
ENV PATH=/opt/ocr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
CMD ["ocr-gateway", "worker"]
