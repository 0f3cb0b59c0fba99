"""nginx as the edge of a platform: it passes WebSocket connections on (nginx.org/en/docs/http/websocket.html).

With timeouts of an hour, as tunnels and hosted platforms have them: the defaults, 60 s, would end a silent session.
"""

from __future__ import annotations

from pathlib import Path

from halfopen.netns.sockets import Address

PROGRAM = "nginx"
PACKAGE = "nginx-light"

#: Folders that it would else make where it was built to.
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def config(listen: Address, upstream: Address, folder: Path) -> str:
    """nginx.conf for one process."""
    temporary = "\n".join(f"    {name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    # In a lab everybody is root: to any other user it would hand its folders over, whom an unprivileged lab has not.
    return f"""user root root;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
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
    """Errors go to stderr from the first on: by default it opens a file before it has read its configuration."""
    return [program, "-e", "stderr", "-p", str(file.parent), "-c", str(file)]
