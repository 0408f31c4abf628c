import { mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '../../core/testing/eventually.ts';
import { FrontDoor } from '../testing/front-door.ts';
import { KeyServer } from '../testing/key-server.ts';
import { RawBot, refusedHandshake } from '../testing/raw-bot.ts';
import { type TokenClaims, TokenMaker } from '../testing/tokens.ts';
import { DenyList } from './deny-list.ts';

let folder: string;
let file: string;
const doors: FrontDoor[] = [];
const bots: RawBot[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-deny-'));
  file = join(folder, 'deny.json');
});
afterEach(async () => {
  for (const bot of bots.splice(0)) bot.end();
  await Promise.all(doors.splice(0).map((door) => door.server.drain()));
  await rm(folder, { recursive: true, force: true });
});

async function openDoor(env: Record<string, string>): Promise<FrontDoor> {
  const door = await FrontDoor.open({ DRAIN_TIMEOUT_MS: '500', ...env });
  doors.push(door);
  return door;
}

async function openBot(door: FrontDoor, claims: TokenClaims, maker = door.maker): Promise<RawBot> {
  const bot = await RawBot.open(door.url, await maker.sign(claims));
  bots.push(bot);
  return bot;
}

const refusal = async (door: FrontDoor, claims: TokenClaims) => {
  const { status, body } = await refusedHandshake(door.url, {
    headers: { authorization: `Bearer ${await door.maker.sign(claims)}` },
  });
  return [status, body.code];
};

/** Written beside and moved into its place, as tools do that care: a reader never sees half of it. */
const deny = async (entries: object | string) => {
  const text = typeof entries === 'string' ? entries : JSON.stringify(entries);
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
};

const leaked = { tenant: 'acme', bot: 'helper', tokenId: 'leaked' };
const sibling = { tenant: 'acme', bot: 'helper', tokenId: 'good' };
const other = { tenant: 'acme', bot: 'other', tokenId: 'leaked-not' };

describe('DENY_FILE', () => {
  it('ends open sessions when it changes, and refuses new ones; the others go on', async () => {
    await deny({});
    const door = await openDoor({ DENY_FILE: file });
    const [first, second, third] = [
      await openBot(door, leaked),
      await openBot(door, sibling),
      await openBot(door, other),
    ];
    await deny({ tokens: ['leaked'] });
    expect(await first?.closed).toEqual({ code: 4001, reason: 'token_revoked' });
    expect(await refusal(door, leaked)).toEqual([401, 'token_revoked']);
    await deny({ bots: [{ tenant: 'acme', bot: 'helper' }] });
    expect(await second?.closed).toEqual({ code: 4003, reason: 'access_denied' });
    expect(await refusal(door, leaked)).toEqual([403, 'access_denied']);
    third?.send({ type: 'ping' });
    await third?.frame(({ type }) => type === 'pong');
    await deny({ tenants: ['acme'] });
    expect(await third?.closed).toEqual({ code: 4003, reason: 'access_denied' });
    await deny({});
    await eventually(async () => bots.push(await openBot(door, leaked)));
    expect(await door.metrics).toMatch(/sessions_ended_total\{reason="access_denied".*\} 2\n/);
  });

  it('counts for plain requests too', async () => {
    await deny({ tokens: ['leaked'] });
    const door = await openDoor({ DENY_FILE: file });
    const check = async (claims: TokenClaims) =>
      await fetch(`${door.url.replace('ws:', 'http:').replace('/v1/stream', '/v1/check')}`, {
        headers: { authorization: `Bearer ${await door.maker.sign(claims)}` },
      });
    expect((await check(sibling)).status).toBe(204);
    const answer = await check(leaked);
    expect([answer.status, await answer.json()]).toEqual([401, expect.objectContaining({ code: 'token_revoked' })]);
  });

  it('keeps denying what it denied when it is broken or gone, and is read again when it is back', async () => {
    await deny({ tokens: ['leaked'] });
    const door = await openDoor({ DENY_FILE: file });
    await deny('{"tokens": [');
    await eventually(async () => expect(await door.metrics).toMatch(/deny_file_problems_total\{.*\} 1\n/));
    expect(await refusal(door, leaked)).toEqual([401, 'token_revoked']);
    await unlink(file);
    await eventually(async () => expect(await door.metrics).toMatch(/deny_file_problems_total\{.*\} 2\n/));
    expect(await refusal(door, leaked)).toEqual([401, 'token_revoked']);
    // As Kubernetes exchanges a mounted ConfigMap: a link to another file of the same size and time.
    await writeFile(join(folder, 'b.json'), '{"tokens":["good"]}');
    await symlink('b.json', file);
    await eventually(async () => expect(await refusal(door, sibling)).toEqual([401, 'token_revoked']));
  });

  it('that cannot be used at the start ends it', async () => {
    await expect(openDoor({ DENY_FILE: file })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await deny({ token: ['x'] });
    await expect(openDoor({ DENY_FILE: file })).rejects.toThrow(/"token".*allowed are lists "tokens"/);
  });

  it('tells a bot of one tenant from that of another, also where names run into each other', () => {
    const list = new DenyList('{"bots":[{"tenant":"a","bot":"bc"}]}');
    expect(list.find({ tenant: 'a', bot: 'bc' })).toBe('access_denied');
    expect(list.find({ tenant: 'ab', bot: 'c' })).toBeUndefined();
    expect(() => new DenyList(JSON.stringify({ tokens: Array.from({ length: 100_001 }, (_, i) => `${i}`) }))).toThrow(
      /100001/,
    );
  });
});

describe('a key that is withdrawn', () => {
  it.each([['with a name'], ['without one']])(
    'ends the sessions of its tokens, %s; those of other keys go on',
    async (named) => {
      const server = new KeyServer();
      const name = (id: string) => (named === 'with a name' ? id : undefined);
      const [old, fresh] = [
        await TokenMaker.create('EdDSA', name('old')),
        await TokenMaker.create('EdDSA', name('new')),
      ];
      server.published = [old, fresh];
      try {
        const door = await openDoor({
          JWT_PUBLIC_KEY: '',
          JWKS_URL: await server.listen(),
          JWKS_MAX_AGE_MS: '1000',
          JWKS_COOLDOWN_MS: '100',
        });
        const [first, second] = [await openBot(door, {}, old), await openBot(door, {}, fresh)];
        server.published = [];
        const asked = server.requests;
        await eventually(() => expect(server.requests).toBeGreaterThan(asked + 1));
        server.published = [fresh];
        expect(await first?.closed).toEqual({ code: 4001, reason: 'key_withdrawn' });
        second?.send({ type: 'ping' });
        await second?.frame(({ type }) => type === 'pong');
      } finally {
        await server.stop();
      }
    },
  );
});
