// A stream over Socket.IO (https://socket.io/docs/v4/server-initialization/), at its defaults.
"use strict";

const http = require("http");
const { Server } = require("socket.io");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
const io = new Server(server);

io.on("connection", (socket) => {
  const slice = Buffer.alloc(32 * 1024);
  // Volatile: what the connection does not take now is dropped, not kept (https://socket.io/docs/v4/emitting-events/).
  const stream = setInterval(() => socket.volatile.emit("slice", slice), 50);
  socket.on("disconnect", () => clearInterval(stream));
});

server.listen(Number(port), host);
