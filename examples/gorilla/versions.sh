# Prints the versions of the library and of Go.
library=$(dpkg-query --show --showformat '${source:Upstream-Version}' golang-github-gorilla-websocket-dev) || exit 1
echo "gorilla/websocket $library, Go $(go env GOVERSION | sed s/go//)"
