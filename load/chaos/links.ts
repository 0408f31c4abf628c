import type { StackAddresses } from '../../services/local/testing/breakable-stack.ts';
import { FaultyLink } from '../../services/platform/testing/faulty-link.ts';
import { KafkaProxy } from '../../services/platform/testing/kafka-proxy.ts';
import { LINKS, type LinkName } from './faults.ts';

/** Added each way: a round trip over it takes most of a second. */
const DELAY_MS = 400;

/** The faulty network of one run: a link, or one to each broker, between each service and what it talks to. */
export class Links {
  readonly #links: ReadonlyMap<string, readonly FaultyLink[]>;

  private constructor(links: ReadonlyMap<string, readonly FaultyLink[]>) {
    this.#links = links;
  }

  static async start({ kafkaBrokers, registryUrl, nlpUrl, clickhouseUrl }: StackAddresses): Promise<Links> {
    const kafka = () => KafkaProxy.startAll(kafkaBrokers.split(','));
    const http = async (url: string) => [await FaultyLink.start(new URL(url).host)];
    const start: Record<LinkName, () => Promise<readonly FaultyLink[]>> = {
      'gateway-kafka': kafka,
      'enricher-kafka': kafka,
      'sink-kafka': kafka,
      'services-registry': () => http(registryUrl),
      'enricher-nlp': () => http(nlpUrl),
      'sink-clickhouse': () => http(clickhouseUrl),
    };
    return new Links(new Map(await Promise.all(LINKS.map(async (name) => [name, await start[name]()] as const))));
  }

  /** `host:port`, of several brokers with commas between. */
  address(name: LinkName): string {
    return this.#of(name)
      .map(({ address }) => address)
      .join(',');
  }

  break(name: string, how: 'cut' | 'delay' | 'silence'): void {
    for (const link of this.#of(name)) {
      if (how === 'delay') link.delayMs = DELAY_MS;
      else link[how]();
    }
  }

  mend(name: string): void {
    for (const link of this.#of(name)) link.open();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#links.values()].flat().map((link) => link.stop()));
  }

  #of(name: string): readonly FaultyLink[] {
    const links = this.#links.get(name);
    if (!links) throw new Error(`there is no link named ${name}`);
    return links;
  }
}
