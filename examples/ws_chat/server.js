// A chat room over ws (https://github.com/websockets/ws), after its README's "Server broadcast": it speaks when somebody
// does, and pings nobody.
"use strict";

const http = require("http");
const { WebSocket, WebSocketServer } = require("ws");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
const wss = new WebSocketServer({ server });

wss.on("connection", (ws) => {
  ws.on("error", console.error);
  ws.on("message", (data, isBinary) => {
    wss.clients.forEach((client) => {
      if (client !== ws && client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    });
  });
});

server.listen(Number(port), host);
