import { pino } from 'pino';
import { VERSION } from '../core/package-info.ts';

export type Logger = import('pino').Logger;

/**
 * JSON lines on stdout. Log ids, coordinates and codes; never message text or tokens. The names below are removed
 * should one slip in all the same.
 */
export function createLogger(service: string, level = 'info'): Logger {
  return pino({
    level,
    base: { service, pid: process.pid, version: VERSION },
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: ['text', '*.text', 'token', '*.token', 'authorization', '*.authorization', 'password'],
      remove: true,
    },
  });
}
