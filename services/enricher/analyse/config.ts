import { int, number, oneOf, optional, pem, privatePairs, privateUrl, secret, text, url } from '../../core/config.ts';

const HTTP_PROXY = optional(privateUrl({ doc: 'Proxy to an NLP API at http://' }));
const HTTPS_PROXY = optional(privateUrl({ doc: 'Proxy to an NLP API at https://' }));
const NO_PROXY = optional(text({ doc: 'Hosts that need no proxy: host, host:port, .domain, or *' }));

/** How documents reach the NLP API, besides the policy: provider, batches, cache. */
export const ANALYSER_SPEC = {
  NLP_PROVIDER: oneOf(['parley', 'json'], {
    default: 'parley',
    doc: 'The protocol at NLP_URL: as schemas/nlp-api.openapi.yaml says, or as the file NLP_MAPPING says',
  }),
  NLP_MAPPING: optional(text({ doc: 'With NLP_PROVIDER=json: the file that describes requests and answers' })),
  NLP_REQUESTS_PER_S: optional(
    number({
      min: 0.01,
      max: 1e6,
      doc: 'Calls a second that the API allows; by default what NLP_MAPPING says, or no bound',
    }),
  ),
  NLP_RATE_SHARE: number({
    default: 1,
    min: 0.001,
    max: 1,
    doc: 'This instance’s share of the calls a second that the API allows: 1 divided by the number of instances',
  }),
  NLP_HEADERS: optional(
    privatePairs({ doc: 'Headers of every request to the NLP API, as name=value,name=value, percent-encoded' }),
  ),
  NLP_TOKEN: optional(secret({ doc: 'Bearer token for the NLP API' })),
  NLP_OAUTH_TOKEN_URL: optional(url({ doc: 'Token endpoint of OAuth client credentials, in place of NLP_TOKEN' })),
  NLP_OAUTH_CLIENT_ID: optional(text({ doc: 'Client id there' })),
  NLP_OAUTH_CLIENT_SECRET: optional(secret({ doc: 'Client secret there' })),
  NLP_OAUTH_SCOPE: optional(text({ doc: 'Scope that is asked for, if any' })),
  NLP_CA: optional(pem({ doc: 'Authority that signed the NLP API’s certificate; the system’s by default' })),
  NLP_CERT: optional(pem({ doc: 'Certificate of this client, for an NLP API that asks for one' })),
  NLP_KEY: optional(pem({ doc: 'Its key' })),
  HTTP_PROXY,
  HTTPS_PROXY,
  NO_PROXY,
  http_proxy: HTTP_PROXY,
  https_proxy: HTTPS_PROXY,
  no_proxy: NO_PROXY,
  NLP_BATCH: oneOf(['auto', 'on', 'off'], {
    default: 'auto',
    doc: 'Several documents in a request: as soon as the rate makes it worth while, always, never',
  }),
  NLP_BATCH_MAX_DOCUMENTS: int({ default: 25, min: 1, max: 1_000, doc: 'Documents of a batch at most' }),
  NLP_BATCH_MAX_BYTES: int({ default: 256 << 10, min: 1_024, max: 16 << 20, doc: 'Bytes of a batch at most' }),
  NLP_BATCH_LINGER_MS: int({ default: 5, min: 0, max: 1_000, doc: 'Wait of a batch’s first document for others' }),
  NLP_CACHE_BYTES: int({ default: 24 << 20, min: 0, max: 4 * 2 ** 30, doc: 'Memory for results; 0: no cache' }),
  NLP_CACHE_TTL_MS: int({ default: 600_000, min: 1_000, max: 86_400_000, doc: 'Time that a result is kept' }),
};
