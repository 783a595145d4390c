# The edge: Debian's nginx 1.22 with its purge module and njs, the very packages that the tests run. Build context: infra/.
FROM debian:12.12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx libnginx-mod-http-cache-purge libnginx-mod-http-js python3 \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o www-data -g www-data /var/cache/ocr-edge
COPY nginx /opt/ocr-edge
USER www-data:www-data
EXPOSE 8080
# nginx stops at once on SIGTERM; on SIGQUIT it first answers what is under way.
STOPSIGNAL SIGQUIT
ENTRYPOINT ["python3", "/opt/ocr-edge/render.py", "/run/ocr-edge", "--run"]
