import { describe, expect, it } from '@jest/globals';
import { outcomeHeaders } from '../platform/record-headers.ts';
import { toLogEntry } from './log-entry.ts';
import { recordOf } from './testing/fetched-records.ts';
import { outcomeOf } from './testing/outcomes.ts';

const at = (partition: number, layout: number | undefined) => ({ partition, layout });

describe('an entry of the log', () => {
  it('whose source is at home in another partition is to be passed on there, decoded or not', () => {
    const outcome = outcomeOf({ partition: 7, offset: 1 });
    const record = { ...recordOf(3), headers: headersOf(outcome) };
    const misplaced = { kind: 'misplaced', home: 1, record };
    expect(toLogEntry(record, { ok: true, value: outcome }, at(0, 2))).toMatchObject(misplaced);
    expect(toLogEntry(record, { ok: false, reason: 'undecodable', detail: 'x' }, at(0, 2))).toMatchObject(misplaced);
    expect(toLogEntry(record, { ok: true, value: outcome }, at(1, 2)).kind).toBe('outcome');
    // A block of before had every source in the partition of its own number.
    expect(toLogEntry(record, { ok: true, value: outcome }, at(7, undefined)).kind).toBe('outcome');
  });

  it('lets headers and key stand in for bytes that cannot be decoded', () => {
    const outcome = outcomeOf({ partition: 0, offset: 9 });
    const record = { ...recordOf(3), key: Buffer.from('["t","b","c"]'), headers: headersOf(outcome) };
    const broken = { ok: false, reason: 'undecodable', detail: 'x' } as const;
    expect(toLogEntry(record, broken, at(0, 2))).toMatchObject({
      standIn: { message_id: 'm-0-9', tenant_id: 't', bot_id: 'b', conversation_id: 'c', outcome: 'dead_lettered' },
    });
    const anonymous = toLogEntry({ ...record, key: Buffer.from('t') }, broken, at(0, 2));
    expect(anonymous).toMatchObject({ standIn: { message_id: `dead:${outcome.source.topic_id}:0:9`, tenant_id: '' } });
    expect(toLogEntry({ ...record, headers: {} }, broken, at(0, 2))).toMatchObject({ standIn: undefined });
  });

  it('takes no early answer for an outcome, decoded or not', () => {
    const outcome = outcomeOf({ partition: 0, offset: 9, outcome: 'degraded', provisional: true });
    const record = { ...recordOf(3), key: Buffer.from('["t","b","c"]'), headers: headersOf(outcome) };
    expect(toLogEntry(record, { ok: true, value: outcome }, at(0, 2))).toEqual({ kind: 'provisional', offset: 3 });
    const broken = { ok: false, reason: 'undecodable', detail: 'x' } as const;
    expect(toLogEntry(record, broken, at(0, 2))).toMatchObject({ kind: 'undecodable', standIn: undefined });
  });

  const headersOf = (outcome: ReturnType<typeof outcomeOf>) =>
    Object.fromEntries(Object.entries(outcomeHeaders(outcome)).map(([name, value]) => [name, Buffer.from(value)]));
});
