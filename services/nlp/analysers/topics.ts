import type { Tokens } from './tokens.ts';
import { TOPIC_WORDS } from './topic-words.ts';

export const MAX_TOPICS = 3;

const topicsOfWord: ReadonlyMap<string, readonly string[]> = (() => {
  const byWord = new Map<string, string[]>();
  for (const [topic, words] of Object.entries(TOPIC_WORDS)) {
    for (const word of new Set(words.split(' '))) byWord.set(word, [...(byWord.get(word) ?? []), topic]);
  }
  return byWord;
})();

export const TOPICS: readonly string[] = Object.keys(TOPIC_WORDS).sort();

const singular = (word: string) =>
  word.endsWith('ies') ? `${word.slice(0, -3)}y` : word.endsWith('s') ? word.slice(0, -1) : word;

/** The topics whose words a message uses most, at most three; a word that serves several counts less for each. */
export function findTopics(tokens: Tokens): readonly string[] {
  const weights = new Map<string, number>();
  for (const word of tokens.words) {
    const topics = topicsOfWord.get(word) ?? topicsOfWord.get(singular(word));
    for (const topic of topics ?? []) weights.set(topic, (weights.get(topic) ?? 0) + 1 / (topics?.length ?? 1));
  }
  return [...weights]
    .sort(([leftTopic, left], [rightTopic, right]) => right - left || (leftTopic < rightTopic ? -1 : 1))
    .slice(0, MAX_TOPICS)
    .map(([topic]) => topic);
}
