import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';

/** In a process of its own, since an unhandled rejection would end it: see `testing/abused-host.ts`. */
let outcomes: Record<string, unknown>;

beforeAll(async () => {
  const host = join(import.meta.dirname, 'testing/abused-host.ts');
  const { stdout, stderr } = await promisify(execFile)('node', [host]);
  expect(stderr).toBe('');
  outcomes = JSON.parse(stdout);
});

const UNAVAILABLE = Array(4).fill('token_unavailable');
const LIMITS = { max_in_flight: 1, max_id_chars: 0, max_frame_bytes: 65_536, ping_interval_ms: 25_000 };

describe('the client never ends its host', () => {
  it.each([
    ['a URL without a scheme', 'invalid_option'],
    ['a URL that is none', 'invalid_option'],
    ['a token with a line end', ['Bearer secret']],
    ['a token with a line end within', 'invalid_option'],
    ['no token', 'invalid_option'],
    ['a provider that throws, rejects and gives nonsense before it gives a token', [UNAVAILABLE, ['Bearer good']]],
    ['a provider that throws on reconnect', ['Bearer token-1', 'Bearer token-3']],
    ['a transport that cannot open', ['connect_timeout', true]],
    ['a transport that cannot send, close or end, and reports each end twice', ['fine', 2, [2]]],
    ['listeners that throw, now and later', ['fine', ['connection_lost', 'listener_failed']]],
    ['a listener for problems that throws', 'fine'],
    ['a listener that closes its client', ['fine', 'fine', 'closed']],
    ['sends that nobody waits for', 0],
    ['no crypto', ['fine', 32]],
    ['messages that are none', ['invalid_message', 0, 0]],
    ['ids as numbers, and a type of its own', ['fine', [['message', '7', '9']]]],
    ['a saved queue that is sent again', ['fine', [3, 4]]],
  ])('by %s', (name, outcome) => expect(outcomes[name]).toEqual(outcome));

  it.each([
    ['pages of a proxy on reconnect', 5],
    ["the gateway's own refusal", 'handshake_refused role_missing'],
    ['a refusal as a browser sees it', 'handshake_refused token_invalid'],
    ['a Retry-After of days', Array(3).fill(['connect_timeout', 300_000]).flat()],
    ['a goodbye for years', [300_000, 'fine']],
    ['a nack for years', 60_000],
    ['goodbyes in a loop', true],
    ['frames that are none', 'fine'],
    ['a welcome without limits, and with wrong ones', ['connect_timeout', LIMITS, 'fine']],
    ['a frame limit on the way', ['fine', 'frame_too_large']],
    ['a dead link in a page', 1],
    ['a gateway that lives and answers nothing', ['fine', 1]],
  ])('and bears %s', (name, outcome) => expect(outcomes[name]).toEqual(outcome));
});
