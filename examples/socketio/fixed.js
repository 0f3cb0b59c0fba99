// The stream of server.js, with its dead clients noticed.
"use strict";

const http = require("http");
const { Server } = require("socket.io");
const watch = require("../ws/liveness.js");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
// The library's own heartbeat stays for clients that poll by HTTP. It must be slower than watch(): a slow reader's answer
// to it waits behind all that the connection has queued.
const io = new Server(server, { pingTimeout: 120_000 });

// A transport over WebSocket is a connection of ws, with pings of the protocol that every browser answers by itself.
const watchTransport = (transport) => {
  if (transport.name === "websocket") watch(transport.socket, transport.socket._socket);
};

io.engine.on("connection", (connection) => {
  watchTransport(connection.transport);
  connection.on("upgrade", watchTransport); // it began by HTTP
});

io.on("connection", (socket) => {
  const slice = Buffer.alloc(32 * 1024);
  // Volatile: what the connection does not take now is dropped, not kept (https://socket.io/docs/v4/emitting-events/).
  const stream = setInterval(() => {
    socket.volatile.emit("slice", slice);
    if (socket.conn.transport.name === "websocket") socket.conn.transport.socket.ping();
  }, 50);
  socket.on("disconnect", () => clearInterval(stream));
});

server.listen(Number(port), host);
