# Prints the versions of the proxy and of the server behind it.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "nginx $(nginx -v 2>&1 | cut -d/ -f2), $(python ../versions.py websockets)"
