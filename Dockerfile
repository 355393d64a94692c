# One image for the worker, Flower and the commands. No secret is in it: settings come from the environment.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/mailworker
COPY requirements-runtime.lock ./
RUN /opt/mailworker/bin/pip install --require-hashes --requirement requirements-runtime.lock
COPY pyproject.toml README.md LICENSE celeryconfig.py flowerconfig.py ./
COPY mailworker ./mailworker
RUN pip wheel --no-deps --wheel-dir /wheels . && /opt/mailworker/bin/pip install --no-deps /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 mailworker \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mailworker
COPY --from=build /opt/mailworker /opt/mailworker
ENV PATH=/opt/mailworker/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A site's own celeryconfig.py may be mounted here.
WORKDIR /site
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "mailworker", "worker", "--loglevel", "INFO"]
