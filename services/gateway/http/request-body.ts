import type { IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { HttpProblem } from './http-problem.ts';

/**
 * A request's body as text, plain or gzip.
 *
 * @param maxBytes of the body, as it comes and as it is unpacked: a small gzip may hold gigabytes.
 * @throws {HttpProblem} too_large, malformed or unsupported_encoding.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () =>
    new HttpProblem('too_large', `the body has more than ${maxBytes} bytes; allowed are at most these`);
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip') {
    const message = `content-encoding is ${JSON.stringify(encoding.slice(0, 40))}; allowed is gzip, or none`;
    throw new HttpProblem('unsupported_encoding', message);
  }
  const source = encoding === 'gzip' ? request.pipe(createGunzip()) : request;
  // An error of the request does not end the unpacking by itself.
  if (source !== request) request.once('error', (error) => source.destroy(error));
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of source) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxBytes) throw tooLarge();
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    if (error instanceof HttpProblem) throw error;
    throw new HttpProblem('malformed', 'the body is cut, or is no gzip although content-encoding says so');
  }
  return Buffer.concat(chunks).toString('utf8');
}
