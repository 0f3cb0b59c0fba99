# Prints the versions of the proxy and of the server behind it.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "HAProxy $(haproxy -v | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p'), $(python ../versions.py websockets)"
