// A socket.io hub behind HTTP, the shape of openHAB Cloud: what is posted to a home's path is emitted to its socket, and the
// acknowledgement is the answer. `peers socket.io` starts it. Says its port when it listens; ends with standard input.
//
// What makes it cheaper than a real one, in its favour: no framework, no sessions, no sign-in, no database, WebSocket only.

import { createServer } from 'node:http';
import { Server } from 'socket.io';

const ANSWER_MS = 5000;
const homes = new Map();

const http = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const home = homes.get(request.url);
  if (!home) return response.writeHead(503).end();
  try {
    response.end(await home.timeout(ANSWER_MS).emitWithAck('command', Buffer.concat(chunks)));
  } catch {
    response.writeHead(504).end();
  }
});
// The caller keeps its connections for as long as it likes.
http.keepAliveTimeout = 0;

const hub = new Server(http, { transports: ['websocket'], serveClient: false });
hub.on('connection', (socket) => {
  const path = `/homes/${socket.handshake.auth.home}`;
  homes.set(path, socket);
  socket.on('disconnect', () => {
    if (homes.get(path) === socket) homes.delete(path);
  });
});

http.listen(0, '127.0.0.1', () => console.log(http.address().port));
process.stdin.on('end', () => process.exit()).resume();
