// Homes: node homes.mjs PORT COUNT. Each is a socket of its own that acknowledges every command with its number and the
// command. Says so when all are connected; ends with standard input.

import { io } from 'socket.io-client';

const [port, count] = process.argv.slice(2).map(Number);
const AT_ONCE = 64;

function connect(home) {
  const socket = io(`ws://127.0.0.1:${port}`, {
    auth: { home },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  });
  const number = Buffer.alloc(4);
  number.writeUInt32BE(home);
  socket.on('command', (command, answer) => answer(Buffer.concat([number, command])));
  return new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject));
}

for (let first = 0; first < count; first += AT_ONCE) {
  const some = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, place) => connect(first + place));
  await Promise.all(some);
}
console.log('connected');
process.stdin.on('end', () => process.exit()).resume();
