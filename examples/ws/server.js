// A stream over ws (https://github.com/websockets/ws), with its README's heartbeat ("How to detect and close broken
// connections?") if asked for it.
"use strict";

const http = require("http");
const { WebSocketServer } = require("ws");

const [host, port, heartbeat] = process.argv.slice(2);
const server = http.createServer();
const wss = new WebSocketServer({ server });

wss.on("connection", (ws) => {
  ws.isAlive = true;
  ws.on("error", console.error);
  ws.on("pong", () => {
    ws.isAlive = true;
  });
  const slice = Buffer.alloc(32 * 1024);
  const stream = () => {
    ws.send(slice, (error) => {
      if (!error) setTimeout(stream, 50);
    });
  };
  stream();
});

if (heartbeat) {
  const interval = setInterval(() => {
    wss.clients.forEach((ws) => {
      if (ws.isAlive === false) return ws.terminate();
      ws.isAlive = false;
      ws.ping();
    });
  }, heartbeat * 1000);
  wss.on("close", () => clearInterval(interval));
}

server.listen(Number(port), host);
