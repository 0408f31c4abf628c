import type { Layout, Sample, Shape } from './shape.ts';
import { csvShape } from './shapes/csv.ts';
import { discordShape } from './shapes/discord.ts';
import { intercomShape } from './shapes/intercom.ts';
import { conversationsShape, messagesShape, openAiShape } from './shapes/plain.ts';
import { rasaShape } from './shapes/rasa.ts';
import { slackShape } from './shapes/slack.ts';
import { telegramShape } from './shapes/telegram.ts';
import { whatsappShape } from './shapes/whatsapp.ts';
import { zendeskShape } from './shapes/zendesk.ts';

/** All shapes, in the order in which they are tried: the more peculiar ones first. */
export const SHAPES: readonly Shape[] = [
  slackShape,
  discordShape,
  telegramShape,
  whatsappShape,
  csvShape,
  intercomShape,
  zendeskShape,
  rasaShape,
  openAiShape,
  conversationsShape,
  messagesShape,
];

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
