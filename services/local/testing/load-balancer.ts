import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../core/testing/eventually.ts';
import { freePort } from '../../platform/free-port.ts';
import { Child } from '../process/child.ts';

const CONFIGS = join(import.meta.dirname, '../../../deploy/load-balancers');
/** The gateways of the configuration files. */
const FIRST_GATEWAY = 11;
const NAMED_GATEWAYS = 3;

interface Balancer {
  readonly program: string;
  readonly config: string;
  /** The line that says where it listens, and what it says here. */
  readonly listens: readonly [line: string, here: (port: number) => string];
  /** A line a gateway. */
  readonly gateway: (index: number, address: string) => string;
  /** What differs from the file on a machine where it is no system service. */
  readonly adapt: (text: string, folder: string) => string;
  readonly args: (path: string, folder: string) => readonly string[];
}

const haproxy = (config: string, listens: string, options: string): Balancer => ({
  program: 'haproxy',
  config,
  listens: [`bind ${listens}`, (port) => `bind 127.0.0.1:${port}`],
  gateway: (index, address) => `  server gateway-${index} ${address}`,
  // The open-file limit of a test is smaller than that of a system service.
  adapt: (text) => text.replace(options, '').replace('maxconn 30000', 'maxconn 1000'),
  args: (path) => ['-f', path, '-db'],
});

/** The files of `deploy/load-balancers` that can be run here. */
export const BALANCERS = {
  nginx: {
    program: 'nginx',
    config: 'nginx.conf',
    listens: ['listen 80;', (port) => `listen 127.0.0.1:${port};`],
    gateway: (_, address) => `    server ${address} max_fails=1 fail_timeout=1s;`,
    adapt: (text, folder) => {
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder}/t;`,
      );
      return text.replace('http {', `http {\n  access_log off;\n  ${paths.join('\n  ')}`);
    },
    args: (path, folder) => ['-c', path, '-p', folder, '-e', 'stderr', '-g', 'daemon off; pid nginx.pid;'],
  },
  haproxy: haproxy('haproxy.cfg', ':80', ''),
  // As its comment says where gateways speak no TLS.
  'haproxy-tcp': haproxy('haproxy-tcp.cfg', ':443', 'check-ssl verify none '),
} satisfies Record<string, Balancer>;

export type BalancerName = keyof typeof BALANCERS;

/** No package ships them: `apt-get install nginx haproxy`, as `.ci/run` does. */
export const isInstalled = (name: BalancerName): boolean => spawnSync(BALANCERS[name].program, ['-v']).status === 0;

/** A real load balancer with our configuration file before gateways on this machine. */
export class LoadBalancer {
  readonly port: number;
  readonly #child: Child;
  readonly #folder: string;

  private constructor(port: number, child: Child, folder: string) {
    this.port = port;
    this.#child = child;
    this.#folder = folder;
  }

  /** @param gateways their ports; more or fewer than the file has is fine. */
  static async start(name: BalancerName, gateways: readonly number[]): Promise<LoadBalancer> {
    const balancer: Balancer = BALANCERS[name];
    const folder = await mkdtemp(join(tmpdir(), 'parley-balancer-'));
    await mkdir(join(folder, 't'));
    const port = await freePort();
    const path = join(folder, balancer.config);
    await writeFile(
      path,
      configure(await readFile(join(CONFIGS, balancer.config), 'utf8'), balancer, { gateways, port, folder }),
    );
    let output = '';
    const child = await Child.start({
      command: balancer.program,
      args: balancer.args(path, folder),
      env: process.env,
      onOutput: (chunk) => {
        output += chunk;
      },
    });
    let ended = false;
    void child.exited.then(() => {
      ended = true;
    });
    await eventually(async () => {
      if (!ended) await knock(port);
    });
    if (ended) throw new Error(`${balancer.program} ended at once: ${output}`);
    return new LoadBalancer(port, child, folder);
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/stream`;
  }

  async stop(): Promise<void> {
    this.#child.signal('SIGTERM');
    await this.#child.exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @throws where the file has no longer what is exchanged here. */
function configure(
  text: string,
  { listens: [line, here], gateway, adapt }: Balancer,
  { gateways, port, folder }: { gateways: readonly number[]; port: number; folder: string },
): string {
  const named = Array.from({ length: NAMED_GATEWAYS }, (_, index) =>
    gateway(index + 1, `10.0.0.${FIRST_GATEWAY + index}:8080`),
  ).join('\n');
  const ours = gateways.map((of, index) => gateway(index + 1, `127.0.0.1:${of}`)).join('\n');
  for (const part of [line, named]) if (!text.includes(part)) throw new Error(`the configuration has no "${part}"`);
  return adapt(text.replace(line, here(port)).replace(named, ours), folder);
}

const knock = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
