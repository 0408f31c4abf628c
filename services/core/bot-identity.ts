/** Which bot of which tenant: whom a token speaks for. */
export interface BotIdentity {
  readonly tenant: string;
  readonly bot: string;
}
