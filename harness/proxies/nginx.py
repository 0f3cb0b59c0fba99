"""nginx as the edge of a platform: it passes WebSocket connections on (nginx.org/en/docs/http/websocket.html).

Its timeouts are an hour, as in tunnels and hosted platforms. The defaults, 60 s, would end a silent session.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.sockets import Address

SUMMARY = "nginx passes WebSocket connections on"
PROGRAM = "nginx"
PACKAGE = "nginx-light"

#: Folders that it would otherwise create at the path it was built for.
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def config(listen: Address, upstream: Address, folder: Path) -> str:
    """Return nginx.conf for one process."""
    temporary = "\n".join(f"    {name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    # In a lab every process is root. By default nginx gives its folders to another user, which an unprivileged lab
    # lacks.
    return f"""user root root;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    send_timeout 1h;
{temporary}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"""


def command(program: str, file: Path) -> list[str]:
    """Return the command. All errors go to stderr: by default nginx opens a log before it reads its configuration."""
    return [program, "-e", "stderr", "-p", str(file.parent), "-c", str(file)]
