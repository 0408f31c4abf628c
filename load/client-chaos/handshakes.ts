import type { Duplex } from 'node:stream';
import type { Random } from '../../services/core/random.ts';

/** @param from holds one at least. */
export const pick = <T>(from: readonly T[], random: Random): T => from[Math.floor(random() * from.length)] as T;

const page = (status: string, headers: readonly string[], body: string): string =>
  [`HTTP/1.1 ${status}`, 'connection: close', ...headers, '', body].join('\r\n');

/** Answers to a handshake that are none of the gateway's; none says to stay away for long, since that is obeyed. */
const ANSWERS: Readonly<Record<string, string>> = {
  'page of a proxy': page('404 Not Found', ['content-type: text/html'], '<html>no such host</html>'),
  'page of a firewall': page('403 Forbidden', [], '{"code":"blocked","message":"request id 7"}'),
  'no token asked for': page('401 Unauthorized', ['www-authenticate: Basic'], ''),
  'sign in first': page('200 OK', ['content-type: text/html'], '<form>'),
  redirect: page('302 Found', ['location: http://127.0.0.1:9/elsewhere'], ''),
  draining: page('503 Service Unavailable', ['retry-after: 0'], '{"code":"draining"}'),
  'retry after nonsense': page('429 Too Many Requests', ['retry-after: soon'], '{"code":"connection_rate"}'),
  'another protocol': page('101 Switching Protocols', ['upgrade: h2c', 'connection: upgrade'], ''),
  'a wrong accept': page(
    '101 Switching Protocols',
    ['upgrade: websocket', 'connection: upgrade', 'sec-websocket-accept: AAAA'],
    '',
  ),
  'no HTTP': '\u0000\u0001SSH-2.0-OpenSSH\r\n',
  nothing: '',
};
const NEVER_MS = 3_000;

/** @returns the name of what was done. */
export function refuseHandshake(socket: Duplex, random: Random): string {
  const [name, answer] = pick(Object.entries(ANSWERS), random);
  const how = pick(['at once', 'at once', 'slowly', 'in part', 'without an end'], random);
  if (how === 'at once') socket.end(answer);
  else if (how === 'slowly') setTimeout(() => socket.end(answer), random() * 500);
  else if (how === 'in part') {
    socket.write(answer.slice(0, Math.floor(random() * answer.length)));
    setTimeout(() => socket.destroy(), random() * 200);
  } else {
    // A body that does not end: as much as the peer takes, until it has had enough of it.
    socket.write(answer);
    const more = setInterval(() => socket.write('x'.repeat(1_024)), 20);
    const end = setTimeout(() => socket.destroy(), NEVER_MS);
    socket.once('close', () => {
      clearInterval(more);
      clearTimeout(end);
    });
  }
  return `handshake: ${name}, ${how}`;
}
