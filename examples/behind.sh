# Starts a server on 127.0.0.1:9000, and once that listens a proxy: behind.sh SERVER.py PROXY...
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
python "$1" --host 127.0.0.1 --port 9000 &
until python -c 'import socket; socket.create_connection(("127.0.0.1", 9000))' 2>/dev/null; do sleep 0.1; done
shift
exec "$@"
