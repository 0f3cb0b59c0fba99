// The stream of server.js, with its dead clients noticed.
"use strict";

const http = require("http");
const { WebSocketServer } = require("ws");
const watch = require("./liveness.js");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
const wss = new WebSocketServer({ server });

wss.on("connection", (ws, request) => {
  watch(ws, request.socket);
  ws.on("error", console.error);
  const slice = Buffer.alloc(32 * 1024);
  const stream = () => {
    ws.send(slice, (error) => {
      if (!error) setTimeout(stream, 50);
    });
    ws.ping(); // behind each message, so that a slow reader answers as it reads
  };
  stream();
});

server.listen(Number(port), host);
