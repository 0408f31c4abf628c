import type { Tokens } from './tokens.ts';

export function findTopics(_tokens: Tokens, _language: string): readonly string[] {
  return [];
}
