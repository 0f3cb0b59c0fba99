#!/bin/sh
# The team's own nginx, as deployed, in front of the app.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
sed -e "s/@HOST@/$1/; s/@PORT@/$2/; s#@TMP@#$tmp#g" nginx.conf.in >"$tmp/nginx.conf"
python quiet.py 127.0.0.1 9001 &
nginx -e stderr -c "$tmp/nginx.conf"
