import { join } from 'node:path';
import { type ConfigOf, type Environment, int, readConfig, text } from '../core/config.ts';
import { CLICKHOUSE_SPEC, KAFKA_SPEC, REGISTRY_SPEC } from '../platform/settings.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

const SPEC = {
  ...KAFKA_SPEC,
  ...REGISTRY_SPEC,
  ...CLICKHOUSE_SPEC,
  GATEWAY_PORT: int({ default: 8080, min: 0, max: 65_535, doc: 'Port of the gateway on this machine' }),
  PARLEY_DATA_DIR: text({ default: join(REPOSITORY, '.parley'), doc: 'Data folder of the embedded stack' }),
};

/** Where the `parley` command and the load run find the parts: the embedded stack's addresses unless the services' own variables say otherwise. */
export type OperatorSettings = ConfigOf<typeof SPEC>;

export const readSettings = (env: Environment): OperatorSettings => readConfig(SPEC, env);

/** The folder in which running services write down their addresses. */
export const runDirOf = ({ PARLEY_DATA_DIR }: OperatorSettings): string => join(PARLEY_DATA_DIR, 'run');
