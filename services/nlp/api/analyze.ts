import { isUtf8 } from 'node:buffer';
import type { Analyser, Analysis } from '../analyser.ts';
import type { FaultInjector } from '../faults/injector.ts';
import { type Answer, errorAnswer, jsonAnswer } from './answers.ts';
import { type Checked, idOf, readBatch, readDocument } from './documents.ts';
import { refusal } from './error-codes.ts';

export interface AnalyzeDependencies {
  readonly analyser: Analyser;
  readonly injector: FaultInjector;
  readonly onDocument: (result: 'analysed' | 'refused') => void;
}

type Result = { readonly id: string } & Analysis;

/** From the bytes of a request to its answer. */
export type AnalyzeStep = (body: Buffer) => Answer;

function parse(body: Buffer): Checked<unknown> {
  if (!isUtf8(body)) return { ok: false, refusal: refusal('invalid_json', 'the body is not UTF-8') };
  try {
    return { ok: true, value: JSON.parse(body.toString('utf8')) };
  } catch {
    return { ok: false, refusal: refusal('invalid_json', 'the body is not JSON') };
  }
}

function createDocumentStep({ analyser, injector, onDocument }: AnalyzeDependencies) {
  const analysed = (value: unknown, where: string): Checked<Result> => {
    const document = readDocument(value, where);
    if (!document.ok) return document;
    const { id, text, language } = document.value;
    if (injector.rejects(text)) {
      return { ok: false, refusal: refusal('rejected', `${where}text is refused by the faults in force`) };
    }
    if (injector.documentFails()) {
      return { ok: false, refusal: refusal('analysis_failed', 'this failure was injected') };
    }
    return { ok: true, value: { id, ...analyser(text, language) } };
  };
  return (value: unknown, where = ''): Checked<Result> => {
    const result = analysed(value, where);
    onDocument(result.ok ? 'analysed' : 'refused');
    return result;
  };
}

/** `POST /v1/analyze` */
export function createSingleStep(dependencies: AnalyzeDependencies): AnalyzeStep {
  const step = createDocumentStep(dependencies);
  return (body) => {
    const json = parse(body);
    if (!json.ok) return errorAnswer(json.refusal);
    const result = step(json.value);
    return result.ok ? jsonAnswer(200, result.value) : errorAnswer(result.refusal);
  };
}

/** `POST /v1/analyze:batch`: 200 whenever the batch itself could be read; refused documents stand in `errors`. */
export function createBatchStep(dependencies: AnalyzeDependencies): AnalyzeStep {
  const step = createDocumentStep(dependencies);
  return (body) => {
    const json = parse(body);
    if (!json.ok) return errorAnswer(json.refusal);
    const batch = readBatch(json.value);
    if (!batch.ok) return errorAnswer(batch.refusal);
    const results: Result[] = [];
    const errors: { id: string | null; index: number; code: string; message: string }[] = [];
    for (const [index, document] of batch.value.entries()) {
      const result = step(document, `documents[${index}].`);
      if (result.ok) results.push(result.value);
      else errors.push({ id: idOf(document), index, ...result.refusal });
    }
    return jsonAnswer(200, { results, errors });
  };
}
