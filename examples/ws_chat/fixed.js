// The chat room of server.js, with its dead clients noticed.
"use strict";

const http = require("http");
const { WebSocket, WebSocketServer } = require("ws");
const watch = require("../ws/liveness.js");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
const wss = new WebSocketServer({ server });

wss.on("connection", (ws, request) => {
  watch(ws, request.socket);
  ws.on("error", console.error);
  ws.on("message", (data, isBinary) => {
    wss.clients.forEach((client) => {
      if (client !== ws && client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    });
  });
});

server.listen(Number(port), host);
