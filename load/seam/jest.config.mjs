import base from '../../jest.config.mjs';

/** The contract alone, on the spike's adapter, with the stack of the integration tests. */
const [, stack] = base.projects;
export default { ...stack, testRegex: 'load/seam/contract\\.spike\\.ts$', testTimeout: 60_000 };
