// Loaded into any server that uses ws: says on stdout, by the monotonic clock, when it opens and when it ends a connection.
"use strict";

const { WebSocket, WebSocketServer } = require("ws");

const tell = (what) => console.log(`${what} at ${process.hrtime.bigint()}`);

const { terminate } = WebSocket.prototype;
WebSocket.prototype.terminate = function () {
  tell("terminated");
  return terminate.call(this);
};

const { completeUpgrade } = WebSocketServer.prototype;
WebSocketServer.prototype.completeUpgrade = function (...all) {
  tell("opened");
  return completeUpgrade.apply(this, all);
};
