/** A right as Kafka's own tools name it: what `kafka-acls --add` has to be given. */
export const rightOn = (operation: 'Read' | 'Write' | 'Describe', resource: 'topic' | 'group', name: string): string =>
  `${operation} on ${resource} ${name}`;

/** What an operator has to know of a refusal: the right that is missing, or else Kafka's name of the error. */
export function refusalOf(error: string, ...right: Parameters<typeof rightOn>): string {
  return error.endsWith('_AUTHORIZATION_FAILED') ? `this user lacks ${rightOn(...right)}` : error;
}
