/** Bodies sent with status 200 that no client may take for an answer. */
const BODIES: readonly { readonly type: string; readonly body: string }[] = [
  { type: 'text/html', body: '<html><body><h1>Bad gateway</h1></body></html>' },
  { type: 'application/json', body: '{"id":"x","sentiment":{"label":"pos' },
  { type: 'application/json', body: '{"sentiment":"very","language":42,"results":"none"}' },
  { type: 'application/json', body: '\u0000\u0001garbage\ufffd' },
];

export const garbageBody = (variant: number) => BODIES[variant % BODIES.length] ?? { type: 'text/plain', body: '' };
