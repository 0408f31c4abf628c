// Exit code 0 while this container's service says that it is ready; its admin port is its own ADMIN_PORT.
const url = `http://127.0.0.1:${process.env.ADMIN_PORT}/readyz`;
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4_000) });
  process.stdout.write(await response.text());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`${url}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
