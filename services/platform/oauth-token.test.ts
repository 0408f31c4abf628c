import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clientCredentials } from './oauth-token.ts';

/** A token endpoint: what it was asked, and what it answers next. */
const asked: { readonly authorization: string | undefined; readonly form: string }[] = [];
let answer: { status: number; body: object | string };
let server: Server;
let tokenUrl: string;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let form = '';
    for await (const chunk of request) form += chunk;
    asked.push({ authorization: request.headers.authorization, form });
    const { status, body } = answer;
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const options = () => ({ tokenUrl, clientId: 'my:id', clientSecret: 's3cret' });

describe('clientCredentials', () => {
  it('asks once for all who wait, and again after four fifths of the token’s life', async () => {
    let nowMs = 0;
    asked.length = 0;
    answer = { status: 200, body: { access_token: 'one', expires_in: 100 } };
    const token = clientCredentials({ ...options(), scope: 'kafka' }, () => nowMs);
    expect(await Promise.all([token(), token()])).toEqual(['one', 'one']);
    answer = { status: 200, body: { access_token: 'two', expires_in: 100 } };
    nowMs = 79_999;
    expect(await token()).toBe('one');
    nowMs = 80_000;
    expect(await token()).toBe('two');
    const authorization = `Basic ${Buffer.from('my%3Aid:s3cret').toString('base64')}`;
    expect(asked).toEqual(Array(2).fill({ authorization, form: 'grant_type=client_credentials&scope=kafka' }));
  });

  it.each([
    [401, { error: 'invalid_client', error_description: 's3cret' }, /answered 401: invalid_client$/],
    [500, 's3cret', /answered 500$/],
    [200, { expires_in: 5 }, /gave no access_token$/],
    [200, 'no JSON', /gave no access_token$/],
  ])('names what was wrong with an answer %i %j, without a secret, and asks again', async (status, body, message) => {
    const token = clientCredentials(options());
    answer = { status, body };
    await expect(token()).rejects.toThrow(message);
    answer = { status: 200, body: { access_token: 'later' } };
    expect(await token()).toBe('later');
  });
});
