/** What follows the id in every analysis: the shape of `schemas/nlp-api.openapi.yaml`, about as long as a real one. */
const ANALYSIS =
  '"language":{"code":"en","confidence":0.97},"sentiment":{"label":"positive","score":0.42},' +
  '"intent":{"name":"question","confidence":0.81},"toxicity":{"score":0.01},"topics":["delivery","orders"],' +
  '"entities":[],"model":"load-1"}';
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ';

const respond = (body: string): string => `${HEAD}${body.length}\r\n\r\n${body}`;
const analysis = (id: string): string => `{"id":"${id}",${ANALYSIS}`;

/** Whole responses as latin1, so that a string's length is its length in bytes. */
export const singleAnswer = (id: string): string => respond(analysis(id));

export const batchAnswer = (ids: readonly string[]): string =>
  respond(`{"results":[${ids.map(analysis).join(',')}],"errors":[]}`);

export const statusAnswer = (status: number, headers = ''): string => {
  const body = `{"code":"load","message":"${status} as ordered"}`;
  return `HTTP/1.1 ${status} As Ordered\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
};
