/** What `@parley/client` offers in Node, Deno and Bun. */
export * from './browser.ts';
export { wsTransport } from './ws-transport.ts';
