/** Kafka's name of the error that a client meets which lacks a right. */
export const isMissingRight = (error: string): boolean => error.endsWith('_AUTHORIZATION_FAILED');

/** A right as Kafka's own tools name it: what `kafka-acls --add` has to be given. */
export const rightOn = (operation: 'Read' | 'Write' | 'Describe', resource: 'topic' | 'group', name: string): string =>
  `${operation} on ${resource} ${name}`;
