import type { Layout, Sample, Shape } from './shape.ts';
import { conversationsShape, messagesShape, openAiShape } from './shapes/plain.ts';
import { rasaShape } from './shapes/rasa.ts';

/** All shapes, in the order in which they are tried: the more peculiar ones first. */
export const SHAPES: readonly Shape[] = [rasaShape, openAiShape, conversationsShape, messagesShape];

export const SHAPE_NAMES: readonly string[] = SHAPES.map(({ name }) => name);

export interface Recognised {
  readonly shape: Shape;
  readonly layout: Layout;
}

/** The first shape that knows the sample. */
export function recognise(sample: Sample): Recognised | undefined {
  for (const shape of SHAPES) {
    const layout = shape.recognise(sample);
    if (layout) return { shape, layout };
  }
  return undefined;
}
