import './global-setup.ts';

/** Stops what the setup started; a stack that was running before goes on. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.parleyTestStack?.stop();
}
