import type { IncomingMessage } from 'node:http';

/**
 * Collects a request's body. `onBody` gets its bytes, or `undefined` as soon as it is known to exceed `maxBytes` (the
 * rest is then read and dropped, so that the caller sees the refusal and not a reset). It is not called at all when
 * the caller goes away.
 */
export function collectBody(request: IncomingMessage, maxBytes: number, onBody: (body: Buffer | undefined) => void) {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
    request.resume();
    onBody(undefined);
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    const before = size;
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else if (before <= maxBytes) onBody(undefined);
  });
  request.on('end', () => {
    if (size <= maxBytes) onBody(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  });
  request.on('error', () => {});
}
