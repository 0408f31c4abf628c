import { hostname, userInfo } from 'node:os';

/** Who runs this process, for audit rows: `user@host`. */
export function operatorName(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container's user may have no name.
    return `uid-${process.getuid?.() ?? 'unknown'}@${hostname()}`;
  }
}
