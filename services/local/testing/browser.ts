import chromium from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';
import { messageOf } from '../../core/errors.ts';

/**
 * A real headless Chromium out of an npm package: unpacked into the system's temporary folder on first use. Its same-origin
 * rules are on, as in a user's browser; only the sandbox is off, which containers and root do not allow.
 *
 * @throws with what the machine lacks: a check in a browser is never skipped in silence.
 */
export async function launchBrowser(): Promise<Browser> {
  try {
    return await playwright.launch({
      executablePath: await chromium.executablePath(),
      headless: true,
      args: ['--headless=shell', '--no-sandbox', '--no-zygote', '--disable-gpu'],
    });
  } catch (error) {
    throw new Error(
      `Chromium does not start on this machine, so the browser check cannot run. It needs glibc and the libraries nss3 and nspr4 (apt-get install libnss3). Its own words: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
