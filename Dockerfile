# One image for web, workers, scheduler, and release. Runs as an unprivileged user on a read-only root file system:
# mount a volume or a tmpfs at /data.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt /build/
RUN python -m venv /venv && /venv/bin/pip install --require-hashes --only-binary :all: -r /build/requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AIINFRA_DATA_DIR=/data BIND=0.0.0.0 PORT=8000
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin aiinfra \
 && install -d -o aiinfra -g aiinfra -m 0700 /data
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY aiinfra ./aiinfra
COPY queue_app ./queue_app
COPY cache_app ./cache_app
COPY cost_app ./cost_app
COPY templates ./templates
COPY static ./static
RUN python -m compileall -q /app
USER 10001
EXPOSE 8000
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import os; from urllib.request import urlopen; urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"]
