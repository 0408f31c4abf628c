#!/usr/bin/env node
import { Command, Option } from 'commander';
import { BALANCERS, isInstalled } from '../../services/local/testing/load-balancer.ts';
import { integerOption, numberOption } from '../../services/operator/option-readers.ts';
import { runOnStack } from '../gateway/run-on-stack.ts';
import { progress, runCommand } from '../kit/run-command.ts';
import { type RollingOptions, rollingRestart } from './rolling.ts';

interface Options extends RollingOptions {
  readonly json?: true;
}

const program = new Command('load rolling')
  .description(
    'Restarts gateways one after another behind a real load balancer with our configuration (deploy/load-balancers), the new one first, while clients send. Exit code 1: an ack came later than 1 s, a client came back more than once, or the log holds other than what was acked.',
  )
  .addOption(
    new Option('--balancer <name>', 'the load balancer, installed on this machine')
      .choices(Object.keys(BALANCERS))
      .default('nginx'),
  )
  .option('--clients <n>', 'clients, one connection each', integerOption(1, 5_000), 300)
  .option('--rate <n>', 'messages a second of all', numberOption(1, 20_000), 300)
  .option('--gateways <n>', 'gateways, beside the one that comes first', integerOption(2, 8), 3)
  .option('--json', 'on one line')
  .exitOverride()
  .action(async (options: Options) => {
    if (!isInstalled(options.balancer)) {
      throw new Error(`${BALANCERS[options.balancer].program} is not installed here (apt-get install nginx haproxy)`);
    }
    await runOnStack((bench) => rollingRestart(bench, options, progress), options);
  });

await runCommand(program);
