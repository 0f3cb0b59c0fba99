// Ends the connections of dead clients, and spares slow ones (https://github.com/websockets/ws).
"use strict";

const POLL = 2_000; // milliseconds
const POLLS = 15; // a client that answers nothing for so many is dead: 30 s

// Call it for each new connection: wss.on("connection", (ws, request) => watch(ws, request.socket)).
module.exports = function watch(ws, socket) {
  let silent = 0;
  const alive = () => {
    silent = 0;
  };
  ws.on("pong", alive);
  ws.on("message", alive);
  // Polls are counted, not seconds: while this process itself stands still, nobody can be heard.
  const timer = setInterval(() => {
    silent += 1;
    // A reset, since terminate() leaves queued bytes with the kernel, which goes on trying for minutes.
    if (silent > POLLS) socket.resetAndDestroy();
    else if (ws.readyState === ws.OPEN) ws.ping();
  }, POLL);
  ws.on("close", () => clearInterval(timer));
};
