export interface Entity {
  readonly type: string;
  /** As written in the text. */
  readonly text: string;
  /** UTF-16 offsets into the text, end exclusive. */
  readonly start: number;
  readonly end: number;
}

export function findEntities(_text: string, _language: string): readonly Entity[] {
  return [];
}
