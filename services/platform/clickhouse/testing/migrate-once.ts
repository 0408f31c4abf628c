import { createLogger } from '../../logger.ts';
import { createClickHouse } from '../clickhouse.ts';
import { migrate } from '../migrations.ts';

// A process that migrates one database and ends: tests run several at once.
const [url, database] = process.argv.slice(2);
if (!url || !database) throw new Error('usage: migrate-once.ts URL DATABASE');
const log = createLogger('migrate-once', 'warn');
const client = createClickHouse({ url, database, log });
await migrate(client, { log });
await client.close();
