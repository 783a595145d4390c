# The gateway, or a worker (command: ocr-gateway worker). Build context: the repository's root.
# By itself it needs nothing else: docker run -p 127.0.0.1:5000:5000 -v ocr:/var/lib/ocr ocr-gateway
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
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin ocr \
 && install -d -o ocr -g ocr -m 0700 /var/lib/ocr
COPY --from=build /opt/ocr /opt/ocr
ENV PATH=/opt/ocr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The container's own address is for those that its port is published to.
ENV OCR_HOST=0.0.0.0 OCR_DATA_DIR=/var/lib/ocr
USER 10001:10001
WORKDIR /tmp
EXPOSE 5000
CMD ["ocr-gateway", "serve"]
