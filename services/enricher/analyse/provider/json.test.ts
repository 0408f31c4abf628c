import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ApiReply, type ApiRequest, ScriptedNlp } from '../../../platform/testing/scripted-nlp.ts';
import { readEnricherConfig } from '../../config.ts';
import type { NlpError } from '../nlp-errors.ts';
import { AnalyserBench } from '../testing/bench.ts';
import { resultsOf } from '../testing/results.ts';
import { connectProvider } from './connect.ts';
import { JsonProvider } from './json.ts';
import { parseMapping } from './json-mapping.ts';
import type { NlpProvider } from './provider.ts';

const MAPPINGS = join(import.meta.dirname, '../../../../schemas/nlp-mappings');
const SECRETS = { AZURE_LANGUAGE_KEY: 'azure-secret', GOOGLE_API_KEY: 'google-secret' };

let api: ScriptedNlp;
let folder: string;
const providers: NlpProvider[] = [];

beforeAll(async () => {
  api = await ScriptedNlp.start();
  folder = await mkdtemp(join(tmpdir(), 'parley-mapping-'));
});
afterAll(async () => {
  await Promise.all(providers.map((provider) => provider.close()));
  await api.close();
  await rm(folder, { recursive: true });
});

/** A provider as the service makes it, from a mapping file, in front of a real server that answers as `answer` says. */
function providerOf(file: string, answer: (request: ApiRequest) => ApiReply, base = ''): NlpProvider {
  api.requests.length = 0;
  api.answer = answer;
  const env = { NLP_PROVIDER: 'json', NLP_MAPPING: file, NLP_URL: `${api.url}${base}` };
  const provider = connectProvider(readEnricherConfig(env), SECRETS);
  providers.push(provider);
  return provider;
}
const shipped = (name: string) => join(MAPPINGS, `${name}.json`);

const analyse = async (provider: NlpProvider, texts: readonly string[]) => {
  const documents = texts.map((text, n) => ({ id: `m${n}`, text }));
  const results = await resultsOf(provider, documents);
  return results.map((result) =>
    result.ok ? [result.insight.sentiment_label, result.insight.sentiment_score] : result.error.failure,
  );
};
const failureOf = async (provider: NlpProvider, texts: readonly string[]) => {
  const error = (await analyse(provider, texts).catch((thrown: unknown) => thrown)) as NlpError;
  return [error.failure, error.cause_code, error.retryAfterMs];
};

/** positive, negative or neutral, by what the text says of itself. */
const scoresOf = (text: string): [number, number, number] =>
  text.startsWith('good') ? [0.75, 0.25, 0] : text.startsWith('bad') ? [0.25, 0, 0.75] : [0, 1, 0];

describe('Hugging Face text-embeddings-inference, /predict', () => {
  // Its OpenAPI: `inputs` a string, a pair, or a list of these; a list of predictions, highest first, for each.
  const answer = ({ json }: ApiRequest): ApiReply => {
    const inputs = json.inputs as string[][];
    if (inputs.length > 32)
      return {
        status: 413,
        body: { error: 'batch size 33 > maximum allowed batch size 32', error_type: 'Validation' },
      };
    if (inputs.some(([text]) => text === ''))
      return { status: 422, body: { error: '`inputs` cannot be empty', error_type: 'Tokenizer' } };
    if (inputs.some(([text]) => text === 'crash'))
      return { status: 424, body: { error: 'Inference failed', error_type: 'Backend' } };
    if (inputs.some(([text]) => text === 'busy'))
      return { status: 429, body: { error: 'Model is overloaded', error_type: 'Overloaded' } };
    const classes = ['positive', 'neutral', 'negative'];
    const predictions = inputs.map(([text = '']) =>
      scoresOf(text)
        .map((score, n) => ({ score, label: classes[n] }))
        .toSorted((a, b) => b.score - a.score),
    );
    return { body: predictions };
  };

  it('is asked and read as it documents', async () => {
    const provider = providerOf(shipped('text-embeddings-inference'), answer);
    expect(await analyse(provider, ['good', 'bad', 'so "so"\n€'])).toEqual([
      ['positive', 0.75],
      ['negative', -0.5],
      ['neutral', 0],
    ]);
    expect(api.requests[0]).toMatchObject({
      path: '/predict',
      json: { inputs: [['good'], ['bad'], ['so "so"\n€']], truncate: true },
    });
    const [first] = await resultsOf(provider, [{ id: 'm', text: 'good' }]);
    expect(first).toEqual({
      ok: true,
      insight: {
        language: 'und',
        language_confidence: 0,
        sentiment_label: 'positive',
        sentiment_score: 0.75,
        intent: 'unknown',
        intent_confidence: 0,
        toxicity_score: 0,
        topics: [],
        model: 'cardiffnlp/twitter-roberta-base-sentiment-latest',
      },
    });
  });

  it('fails as it documents', async () => {
    const provider = providerOf(shipped('text-embeddings-inference'), answer);
    expect(await failureOf(provider, Array(33).fill('good'))).toEqual(['too_large', 'http_413', undefined]);
    expect(await failureOf(provider, [''])).toEqual(['rejected', 'http_422', undefined]);
    expect(await failureOf(provider, ['crash'])).toEqual(['failed', 'http_424', undefined]);
    expect(await failureOf(provider, ['busy'])).toEqual(['throttled', 'http_429', undefined]);
    // A list of another length could be anybody's.
    api.answer = () => ({ body: [[{ score: 1, label: 'positive' }]] });
    expect(await failureOf(provider, ['good', 'bad'])).toEqual(['failed', 'garbage', undefined]);
    api.answer = () => ({ body: [[{ score: 1, label: 'LABEL_7' }]] });
    expect(await analyse(provider, ['good'])).toEqual(['failed']);
    api.answer = () => ({ body: '<html>' });
    expect(await failureOf(provider, ['good'])).toEqual(['failed', 'garbage', undefined]);
  });
});

describe('Amazon Comprehend, BatchDetectSentiment', () => {
  const answer = ({ json }: ApiRequest): ApiReply => {
    const texts = json.TextList as string[];
    const refuse = (name: string) => ({
      status: 400,
      body: { __type: `com.amazonaws.comprehend#${name}`, Message: '…' },
    });
    if (texts.includes('fast')) return refuse('ThrottlingException');
    if (texts.includes('nobody')) return refuse('AccessDeniedException');
    if (texts.length > 25) return refuse('BatchSizeLimitExceededException');
    const [results, errors]: [object[], object[]] = [[], []];
    for (const [Index, text] of texts.entries()) {
      const [Positive, Neutral, Negative] = scoresOf(text);
      const Sentiment = text.startsWith('good') ? 'POSITIVE' : text.startsWith('bad') ? 'NEGATIVE' : 'MIXED';
      if (text === 'empty') errors.push({ Index, ErrorCode: 'INVALID_REQUEST', ErrorMessage: '…' });
      else if (text === 'flaky') errors.push({ Index, ErrorCode: 'INTERNAL_SERVER_ERROR', ErrorMessage: '…' });
      else results.push({ Index, Sentiment, SentimentScore: { Positive, Negative, Neutral, Mixed: 0 } });
    }
    return { body: { ResultList: results, ErrorList: errors } };
  };

  it('is asked and read as it documents, each error with its document', async () => {
    const provider = providerOf(shipped('aws-comprehend'), answer, '/proxy/');
    expect(await analyse(provider, ['good', 'empty', 'flaky', 'bad', 'both'])).toEqual([
      ['positive', 0.75],
      'rejected',
      'failed',
      ['negative', -0.5],
      ['neutral', 0],
    ]);
    expect(api.requests[0]).toMatchObject({
      path: '/proxy/',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'Comprehend_20171127.BatchDetectSentiment',
      },
      json: { LanguageCode: 'en', TextList: ['good', 'empty', 'flaky', 'bad', 'both'] },
    });
  });

  it('answers 400 to everything: the code in the body tells', async () => {
    const provider = providerOf(shipped('aws-comprehend'), answer);
    expect(await failureOf(provider, ['fast'])).toEqual(['throttled', 'http_400', undefined]);
    expect(await failureOf(provider, ['nobody'])).toEqual(['misconfigured', 'http_400', undefined]);
    expect(await failureOf(provider, Array(26).fill('good'))).toEqual(['too_large', 'http_400', undefined]);
  });

  it('gets a text of 5,000 bytes at most, cut between characters', async () => {
    const provider = providerOf(shipped('aws-comprehend'), answer);
    const bench = new AnalyserBench({ url: api.url, provider, batches: { mode: 'on' } });
    expect(await bench.analyse(`good ${'é'.repeat(4_000)}`)).toMatchObject({ kind: 'analysed' });
    const [{ json }] = api.requests as [ApiRequest];
    const text: string = json.TextList[0];
    expect([Buffer.byteLength(text), text.at(-1)]).toEqual([4_999, 'é']);
    await bench.close();
  });
});

describe('Azure AI Language, SentimentAnalysis', () => {
  const answer = ({ json }: ApiRequest): ApiReply => {
    const { documents } = json.analysisInput as { documents: { id: string; text: string }[] };
    if (documents.length > 10) {
      const innererror = { code: 'InvalidDocumentBatch', message: 'Batch request contains too many records.' };
      return {
        status: 400,
        body: { error: { code: 'InvalidRequest', message: 'Invalid document in request.', innererror } },
      };
    }
    const isEmpty = ({ text }: { text: string }) => text === '';
    const results = documents
      .filter((document) => !isEmpty(document))
      .map(({ id, text }) => {
        const [positive, neutral, negative] = scoresOf(text);
        const sentiment = text.startsWith('good') ? 'positive' : text.startsWith('bad') ? 'negative' : 'mixed';
        return { id, sentiment, confidenceScores: { positive, neutral, negative }, sentences: [], warnings: [] };
      });
    const errors = documents.filter(isEmpty).map(({ id }) => ({
      id,
      error: {
        code: 'InvalidArgument',
        message: '…',
        innererror: { code: 'InvalidDocument', message: 'Document text is empty.' },
      },
    }));
    // In whatever order it likes: results carry ids.
    return {
      body: {
        kind: 'SentimentAnalysisResults',
        results: { documents: results.toReversed(), errors, modelVersion: '2022-11-01' },
      },
    };
  };

  it('is asked and read as it documents, by id', async () => {
    const provider = providerOf(shipped('azure-language'), answer);
    expect(await analyse(provider, ['good', '', 'bad', 'both'])).toEqual([
      ['positive', 0.75],
      'rejected',
      ['negative', -0.5],
      ['neutral', 0],
    ]);
    expect(api.requests[0]).toMatchObject({
      path: '/language/:analyze-text?api-version=2023-04-01',
      headers: { 'ocp-apim-subscription-key': 'azure-secret' },
      json: {
        kind: 'SentimentAnalysis',
        analysisInput: { documents: [{ id: 'm0', language: 'en', text: 'good' }, {}, {}, {}] },
      },
    });
    const results = await resultsOf(provider, [
      { id: 'same', text: 'good' },
      { id: 'same', text: 'bad' },
    ]);
    expect(results).toMatchObject([
      { insight: { sentiment_label: 'positive', model: '2022-11-01' } },
      { insight: { sentiment_label: 'negative' } },
    ]);
    expect(await failureOf(provider, Array(11).fill('good'))).toEqual(['too_large', 'http_400', undefined]);
  });

  it('gets its batches within its limits', async () => {
    const provider = providerOf(shipped('azure-language'), answer);
    const bench = new AnalyserBench({ url: api.url, provider, batches: { mode: 'on' } });
    const analyses = await Promise.all(Array.from({ length: 20 }, (_, n) => bench.analyse(`good ${n}`)));
    expect(analyses.every(({ kind }) => kind === 'analysed')).toBe(true);
    expect(api.requests.map(({ json }) => json.analysisInput.documents.length)).toEqual([10, 10]);
    await bench.close();
  });
});

describe('Google Natural Language, analyzeSentiment', () => {
  const answer = ({ json }: ApiRequest): ApiReply => {
    const text = json.document.content as string;
    if (text === '') return { status: 400, body: { error: { code: 400, message: '…', status: 'INVALID_ARGUMENT' } } };
    const [positive, , negative] = scoresOf(text);
    return {
      body: { documentSentiment: { magnitude: 0.8, score: positive - negative }, language: 'de', sentences: [] },
    };
  };

  it('takes one document a request, and gives a score without a label', async () => {
    const provider = providerOf(shipped('google-natural-language'), answer);
    expect(await analyse(provider, ['good'])).toEqual([['positive', 0.75]]);
    expect(await analyse(provider, ['bad'])).toEqual([['negative', -0.5]]);
    expect(await analyse(provider, ['so so'])).toEqual([['neutral', 0]]);
    expect(await failureOf(provider, [''])).toEqual(['rejected', 'http_400', undefined]);
    expect(api.requests[0]).toMatchObject({
      path: '/v1/documents:analyzeSentiment',
      headers: { 'x-goog-api-key': 'google-secret' },
      json: { document: { type: 'PLAIN_TEXT', content: 'good' }, encodingType: 'UTF16' },
    });
    const bench = new AnalyserBench({ url: api.url, provider, batches: { mode: 'on' } });
    api.requests.length = 0;
    await Promise.all(['good 1', 'good 2', 'good 3'].map((text) => bench.analyse(text)));
    expect(api.requests).toHaveLength(3);
    await bench.close();
  });
});

describe('a mapping file', () => {
  const minimal = {
    name: 'mine',
    path: '/classify',
    request: { body: { text: '$text' } },
    response: { results: '' },
    limits: { documents: 1, bytes: 10_000, text: { chars: 100, overlong: 'reject' } },
    insight: { model: { value: 'mine/1' } },
  };
  const provide = (change: object, env = {}) =>
    new JsonProvider(
      parseMapping({ ...minimal, ...change }, 'm.json'),
      { url: api.url, connections: 1, connectTimeoutMs: 1_000 },
      env,
    );

  it('of those that are shipped is valid', async () => {
    for (const file of await readdir(MAPPINGS))
      expect(providerOf(join(MAPPINGS, file), () => ({})).name).toMatch(/^[a-z]/);
  });

  it.each([
    ['a path', { path: 'classify' }, 'path: allowed is a path that begins with /'],
    ['a field that is none', { colour: 'red' }, 'Unrecognized key: "colour"'],
    ['a pointer', { response: { results: 'data' } }, 'response.results: allowed is a JSON pointer'],
    ['no limits', { limits: undefined }, 'limits: '],
    ['a status', { failures: { statuses: { 200: 'failed' } } }, 'failures.statuses'],
    ['no text', { request: { body: { q: 'x' } } }, 'request.body holds no "$text"'],
    ['no text in a list', { request: { body: ['$documents'], document: {} } }, 'request.document holds no "$text"'],
    ['two placeholders', { request: { body: ['$documents', '$text'] } }, 'another placeholder'],
    ['batches without a list', { limits: { ...minimal.limits, documents: 5 } }, 'limits.documents is above 1'],
    ['a secret', { headers: { a: { env: 'NOT_SET' } } }, 'the environment variable NOT_SET'],
    ['a header over lines', { headers: { a: 'x\r\ny: z' } }, 'headers.a'],
  ])('that is wrong about %s is refused with a word about it', (_what, change, words) => {
    expect(() => provide(change)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(words) }),
    );
  });

  it('never shows a secret', () => {
    const make = () => provide({ headers: { a: { env: 'TOKEN' } } }, { TOKEN: 'hush\n' });
    expect(make).toThrow('the environment variable TOKEN');
    expect(make).not.toThrow('hush');
  });

  it('must be there, and JSON', async () => {
    const config = (file?: string) =>
      readEnricherConfig({ NLP_PROVIDER: 'json', ...(file !== undefined && { NLP_MAPPING: file }) });
    expect(() => config()).toThrow('NLP_MAPPING is not set');
    expect(() => connectProvider(config('/nowhere.json'), {})).toThrow(
      'NLP_MAPPING is "/nowhere.json", which is no JSON file',
    );
    const file = join(folder, 'broken.json');
    await writeFile(file, '{"name":');
    expect(() => connectProvider(config(file), {})).toThrow('which is no JSON file');
  });

  it('maps every field of an insight', async () => {
    const label = { list: '/labels', label: '/name', score: '/p' };
    const provider = provide(
      {
        headers: { authorization: { env: 'TOKEN', prefix: 'Bearer ' } },
        insight: {
          model: { at: '/meta/model', of: 'answer' },
          language: {
            code: { at: '/lang', labels: { german: 'de' }, default: 'und' },
            confidence: { at: '/certainty', scale: 0.01 },
            min_chars: 3,
          },
          sentiment: { label: { value: 'neutral' } },
          intent: { name: { top: label, min_score: 0.5, default: 'unknown' }, confidence: { top: label } },
          toxicity: { score: { weigh: label, weights: { insult: 1, threat: 1 } } },
          topics: '/a~1b/0',
        },
      },
      { TOKEN: 'secret' },
    );
    providers.push(provider);
    api.answer = ({ json }) => ({
      body: {
        lang: 'german',
        certainty: 97,
        meta: { model: 'x/2' },
        labels: [
          { name: 'insult', p: 0.3 },
          { name: 'question', p: json.text === 'sure' ? 0.75 : 0.4 },
        ],
        'a/b': [['news', 7, 'sports']],
      },
    });
    const read = async (text: string) => (await resultsOf(provider, [{ id: 'm', text }]))[0];
    expect(await read('sure')).toMatchObject({
      insight: {
        language: 'de',
        language_confidence: 0.97,
        intent: 'question',
        intent_confidence: 0.75,
        toxicity_score: 0.3,
        topics: ['news', 'sports'],
        model: 'x/2',
      },
    });
    // Short texts misdetect; and what is not sure is unknown.
    expect(await read('ok')).toMatchObject({ insight: { language: 'und', language_confidence: 0, intent: 'unknown' } });
    expect(api.requests.at(-1)?.headers['authorization']).toBe('Bearer secret');
  });

  it('takes from the body when to come again', async () => {
    const provider = provide({ failures: { retry_after_s: '/estimated_time' } });
    providers.push(provider);
    api.answer = () => ({ status: 503, body: { error: 'Model is currently loading', estimated_time: 20 } });
    expect(await failureOf(provider, ['x'])).toEqual(['throttled', 'http_503', 20_000]);
  });
});
