import { formatTable } from '../services/operator/text-table.ts';

export interface Bench {
  readonly name: string;
  /** What its figures answer. */
  readonly question: string;
  /** What it runs against. */
  readonly needs: string;
  /** From this folder. */
  readonly main: string;
}

const OWN_STACK = 'a stack of its own';

export const BENCHES: readonly Bench[] = [
  {
    name: 'open-loop',
    question: 'How late are acks, insights and rows at a steady rate, and is anything lost?',
    needs: 'the running stack (npm start)',
    main: './open-loop/main.ts',
  },
  {
    name: 'enricher',
    question: 'What does the enricher cost and add beside the leanest loop, and under faults of the API?',
    needs: OWN_STACK,
    main: './enricher/main.ts',
  },
  {
    name: 'partitions',
    question: 'How late is the event loop of an enricher that holds 96 partitions, beside one that holds 12?',
    needs: OWN_STACK,
    main: './partitions/main.ts',
  },
  {
    name: 'gateway',
    question: 'What do a message and a connection cost the gateway, how fast is it, does it survive a reconnect storm?',
    needs: OWN_STACK,
    main: './gateway/main.ts',
  },
  {
    name: 'rolling',
    question: 'How late are acks while gateways behind nginx or HAProxy are restarted one after another?',
    needs: OWN_STACK,
    main: './rolling/main.ts',
  },
  {
    name: 'hostile',
    question: 'What do half-open connections, junk tokens, deaf readers and refused frames do to honest bots?',
    needs: OWN_STACK,
    main: './hostile/main.ts',
  },
  {
    name: 'insights',
    question: 'What does it cost to bring an insight to the worker that holds its socket?',
    needs: OWN_STACK,
    main: './insights/main.ts',
  },
  {
    name: 'store',
    question: 'What does storing a message cost ClickHouse and the sink, and when is its row visible?',
    needs: OWN_STACK,
    main: './store/main.ts',
  },
  {
    name: 'message-keys',
    question: 'What do the look-ups of the sink cost with 5 and with 50 million facts?',
    needs: OWN_STACK,
    main: './message-keys/main.ts',
  },
  {
    name: 'codecs',
    question: 'What do codecs of the facts and receipts cost in CPU and save on disk?',
    needs: OWN_STACK,
    main: './codecs/main.ts',
  },
  {
    name: 'chaos',
    question: 'Is an acked message lost, or one counted twice, while every part is killed, frozen and cut off?',
    needs: OWN_STACK,
    main: './chaos/main.ts',
  },
  {
    name: 'client-chaos',
    question: 'Does a gateway at its worst end, stall or fool the process of a bot?',
    needs: 'nothing',
    main: './client-chaos/main.ts',
  },
  {
    name: 'traces',
    question: 'Where does the time of one message go?',
    needs: 'services that send it traces',
    main: './traces/main.ts',
  },
  {
    name: 'cache',
    question: 'How often would the result cache have answered a chat log?',
    needs: 'chat files',
    main: './cache/main.ts',
  },
  {
    name: 'nlp-score',
    question: 'How often are the reference NLP models right on labelled chats?',
    needs: 'labelled chat files',
    main: './nlp-score/main.ts',
  },
];

/** The bench of this name; the open loop where there is no name, only options. */
export function findBench(name: string | undefined): Bench | undefined {
  const wanted = name === undefined || name.startsWith('-') ? 'open-loop' : name;
  return BENCHES.find((bench) => bench.name === wanted);
}

export const describeBenches = (): string =>
  formatTable(
    ['BENCH', 'QUESTION', 'RUNS AGAINST'],
    BENCHES.map(({ name, question, needs }) => [name, question, needs]),
  );
