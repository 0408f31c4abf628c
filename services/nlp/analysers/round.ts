/** Four decimals: all that these models can honestly tell, and what the rollups keep (score × 10,000). */
export const round4 = (value: number): number => Math.round(value * 10_000) / 10_000 + 0;

export const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
