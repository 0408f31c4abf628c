import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Inbox } from './inbox.ts';

/** What a client is connected with. Where a driver's client has no such option, it leaves it out and fails that scenario. */
export interface ConnectOptions {
  /** One is a fixed token; of several a provider gives one after the other, and the last again (`null`: it fails). */
  readonly tokens?: readonly (string | null)[];
  readonly insights?: boolean;
  readonly max_buffered?: number;
  readonly connect_timeout_ms?: number;
}

/** What a driver tells: `connected`, `failed`, `given_up`, `ended`, `insight`, `acked`, `refused`. */
export interface DriverEvent {
  readonly client: string;
  readonly event: string;
  readonly id?: string;
  readonly code?: string;
}

/** The client of one scenario, in the driver's process. */
export class DrivenClient {
  readonly events = new Inbox<DriverEvent>();
  readonly #settled = new Map<string, Inbox<string>>();
  readonly #say: (command: object) => void;

  constructor(say: (command: object) => void) {
    this.#say = say;
  }

  do(command: string, fields: object = {}): void {
    this.#say({ do: command, ...fields });
  }

  settled(id: string): Inbox<string> {
    const inbox = this.#settled.get(id) ?? new Inbox<string>();
    this.#settled.set(id, inbox);
    return inbox;
  }

  onEvent(event: DriverEvent): void {
    if (event.event === 'acked') this.settled(event.id ?? '').push('acked');
    else if (event.event === 'refused') this.settled(event.id ?? '').push(event.code ?? '');
    else this.events.push(event);
  }
}

/** The program under test: commands as JSON lines on its standard input, what happens as JSON lines on its standard output. */
export class DriverProcess {
  readonly #child: ChildProcess;
  readonly #clients = new Map<string, DrivenClient>();

  constructor(command: readonly string[], onEnd: (why: string) => void) {
    const [program = '', ...args] = command;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.once('error', (error) => onEnd(error.message));
    this.#child.once('exit', (code, signal) => onEnd(`the driver ended with ${signal ?? code}`));
    this.#child.stdin?.on('error', () => {});
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onLine(line));
  }

  client(name: string): DrivenClient {
    const client = new DrivenClient((command) => {
      this.#child.stdin?.write(`${JSON.stringify({ client: name, ...command })}\n`);
    });
    this.#clients.set(name, client);
    return client;
  }

  /** Its standard input ends: a driver then ends by itself. */
  stop(): void {
    this.#child.stdin?.end();
    this.#child.kill();
  }

  #onLine(line: string): void {
    try {
      const event = JSON.parse(line) as DriverEvent;
      this.#clients.get(event.client)?.onEvent(event);
    } catch {
      process.stderr.write(`driver: ${line}\n`);
    }
  }
}
