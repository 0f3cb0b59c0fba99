# halfopen, installed, and nothing else. docker-compose.yml runs it, and says which privileges it has and why.
# Any Debian with Python 3.11 or newer and its venv module will do as BASE.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY . /src
RUN python3 -m venv /opt/halfopen \
    && /opt/halfopen/bin/pip install --no-cache-dir --disable-pip-version-check /src

FROM ${BASE}
COPY --from=build /opt/halfopen /opt/halfopen
# HOME: root's is closed to the user that the lab runs as. PYTHONSAFEPATH: the lab runs in the mounted checkout, and no
# module there must stand in for an installed one.
ENV PATH=/opt/halfopen/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1
WORKDIR /lab
RUN mkdir out
# Root only until here: hands out/, which Docker makes as root where it is missing, to the owner of the checkout
# that is mounted as /lab, and becomes that owner.
ENTRYPOINT ["/bin/sh", "-euc", "chown --reference=. out; exec setpriv --reuid=$(stat -c %u .) --regid=$(stat -c %g .) --clear-groups halfopen \"$@\"", "halfopen"]
CMD ["run"]
