# Starts the server of websockets_asyncio/ on 127.0.0.1:9000, and the proxy given as arguments once that listens.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
python ../websockets_asyncio/server.py --host 127.0.0.1 --port 9000 &
until python -c 'import socket; socket.create_connection(("127.0.0.1", 9000))' 2>/dev/null; do sleep 0.1; done
exec "$@"
