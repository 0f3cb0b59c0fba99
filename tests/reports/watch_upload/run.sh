#!/bin/sh
# The upload server of the other report, and beside it, in the same host, halfopen watch, as an operator runs it.
host=$1 port=$2
shift 2
(sleep 7; "$@" watch --once --json --listen "$port" --grace 5s | grep -oE '"(unacked|peer)":[^,]*') &
exec python "$(dirname "$0")/../upload/server.py" --host "$host" --port "$port"
