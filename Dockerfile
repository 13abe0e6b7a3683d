# syntax=docker/dockerfile:1
# Hooke's API and indexer. Linux on x86-64 or ARM; needs no GPU.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/hooke
COPY requirements.lock ./
# every package by its hash, from whatever index pip is set up with
RUN /opt/hooke/bin/pip install --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY hooke hooke
COPY ontologies ontologies
COPY indexer indexer
COPY search_api search_api
# hatchling is in the lock, so nothing is fetched here
RUN /opt/hooke/bin/pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent hooke \
    && install --directory --owner hooke --group hooke /index
COPY --from=build /opt/hooke /opt/hooke
ENV PATH=/opt/hooke/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/tmp/cache HF_HOME=/tmp/cache
USER hooke
WORKDIR /tmp
# writable: SQLite's write-ahead log lies beside the database
VOLUME /index
EXPOSE 8000
# the model is loaded before the port opens
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["hooke", "serve", "--index", "/index", "--host", "0.0.0.0", "--port", "8000"]
