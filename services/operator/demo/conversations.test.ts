import { describe, expect, it } from '@jest/globals';
import { type DemoConversation, demoConversations } from './conversations.ts';
import { MOODS } from './phrases.ts';

function take(seed: number, count: number): DemoConversation[] {
  const endless = demoConversations(seed);
  return Array.from({ length: count }, () => endless.next().value);
}

describe('demo conversations', () => {
  const many = take(1, 600);

  it('are the same for the same seed, and others for another', () => {
    expect(take(1, 20)).toEqual(many.slice(0, 20));
    expect(take(2, 20).map(({ messages }) => messages)).not.toEqual(many.slice(0, 20).map(({ messages }) => messages));
  });

  it('cover every language and mood, with humans taking over at times', () => {
    const kinds = new Set(many.map(({ language, mood }) => `${language} ${mood}`));
    expect(kinds.size).toBe(7 * MOODS.length);
    expect(many.some(({ messages }) => messages.at(-1)?.speaker === 'agent')).toBe(true);
  });

  it('are multi-turn chats in which no slot is left open', () => {
    for (const { messages } of many) {
      expect(messages.length).toBeGreaterThanOrEqual(5);
      expect(messages[0]?.speaker).toBe('user');
      for (const { text } of messages) expect(text).toMatch(/^[^{}]+$/);
    }
  });

  it('have ids of their own', () => {
    expect(new Set(many.map(({ conversation_id }) => conversation_id)).size).toBe(many.length);
  });
});
