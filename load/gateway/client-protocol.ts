/** Either at a rate, or with a fixed number of messages outstanding. */
export interface SendPlan {
  readonly ratePerS: number;
  readonly outstanding?: number;
  readonly seconds: number;
}

export type ClientCommand =
  | {
      readonly do: 'open';
      readonly url: string;
      readonly tokens: readonly string[];
      /** Source addresses, in turn. */
      readonly sources: readonly string[];
      /** Handshakes at once. */
      readonly handshakes: number;
    }
  | { readonly do: 'send'; readonly plan: SendPlan }
  | { readonly do: 'status' }
  | { readonly do: 'drop' };

export type ClientReport =
  | { readonly did: 'open'; readonly ms: number; readonly refusals: Readonly<Record<string, number>> }
  | {
      readonly did: 'send';
      readonly sent: number;
      readonly acked: number;
      readonly nacked: number;
      readonly elapsedMs: number;
      /** Latencies of acks in milliseconds, as `LatencyHistogram` encodes them. */
      readonly latencies: string;
    }
  | {
      readonly did: 'status';
      readonly open: number;
      /** Closes that this process did not ask for, by code. */
      readonly closes: Readonly<Record<string, number>>;
      readonly rss: number;
    }
  | { readonly did: 'drop' };

export type ReportOf<D extends ClientReport['did']> = Extract<ClientReport, { did: D }>;
