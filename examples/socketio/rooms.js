// A room over Socket.IO (https://socket.io/docs/v4/rooms/), at its defaults: each update goes to all who joined.
"use strict";

const http = require("http");
const { Server } = require("socket.io");

const [host, port] = process.argv.slice(2);
const server = http.createServer();
const io = new Server(server);

io.on("connection", (socket) => socket.join("dashboard"));

const slice = Buffer.alloc(32 * 1024);
setInterval(() => io.to("dashboard").emit("slice", slice), 50);

server.listen(Number(port), host);
