import base from './.dependency-cruiser.mjs';

/**
 * Folders must form no circle either: a folder that needs its neighbour back is no part of its own. Tests are left out,
 * since a test may stand beside what it tests and use what lies behind it.
 */
export default {
  forbidden: [{ name: 'no-folder-cycles', severity: 'error', scope: 'folder', from: {}, to: { circular: true } }],
  options: { ...base.options, exclude: { path: '\\.test\\.ts$|/testing/|^load/seam/|^services/client/dist/' } },
};
