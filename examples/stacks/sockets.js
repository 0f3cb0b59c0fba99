// Upon SIGUSR2, says on stdout what each connection has queued: in Node.js nothing waits on a stack.
// Loaded into any server with NODE_OPTIONS=--require=.../sockets.js, which needs no change for it.
"use strict";

const sockets = new Set();

// https://nodejs.org/api/diagnostics_channel.html#event-netserversocket
require("diagnostics_channel").subscribe("net.server.socket", ({ socket }) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});

function describe(socket) {
  const state = socket.destroyed ? "destroyed" : socket.readyState;
  const wait = socket.writableNeedDrain ? "'drain' is awaited" : "no 'drain' is awaited";
  return `  connection, ${state}: ${socket.writableLength} bytes in the process, not taken by the kernel; ${wait}`;
}

process.on("SIGUSR2", () => {
  const awaited = `  the process awaits: ${process.getActiveResourcesInfo().join(", ")}`;
  console.log(["process", ...Array.from(sockets, describe), awaited].join("\n"));
});
