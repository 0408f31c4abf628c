// Runs before `npm start` and `npm test` on whatever Node the machine has (20 or newer), so: plain JavaScript, no
// package. Checks what a user must have installed, then installs the npm packages when they are missing or outdated.
// Standard output stays empty: `--json` belongs to the command that follows.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const MIN_NODE = 20;
const MIN_JAVA = 17;

const install = (debian, macos) =>
  `Install it with \`apt install ${debian}\` (Debian) or \`brew install ${macos}\` (macOS).`;

/** What the command prints, or undefined when there is no such command (or it fails, as macOS's java stub does). */
function output(command, args) {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return error || status !== 0 ? undefined : `${stdout}${stderr}`;
}

/** `17.0.15` → 17, `1.8.0_392` → 8; undefined when it says no version. */
function javaMajor(text) {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return first === undefined ? undefined : Number(first === '1' ? second : first);
}

function* missing(env) {
  const node = Number(process.versions.node.split('.')[0]);
  if (node < MIN_NODE) {
    yield `Node ${process.versions.node} is too old: Parley needs Node ${MIN_NODE} or newer. Debian: \`apt install nodejs\`, macOS: \`brew install node\`, or nodejs.org.`;
  }
  // With both addresses given there is nothing here that runs on Java.
  if (env.KAFKA_BROKERS && env.SCHEMA_REGISTRY_URL) return;
  const java = output('java', ['-version']);
  const fix = install('openjdk-17-jre-headless', 'openjdk@17');
  if (java === undefined) yield `Java ${MIN_JAVA} or newer is missing. ${fix}`;
  else if ((javaMajor(java) ?? 0) < MIN_JAVA)
    yield `Java ${javaMajor(java)} is too old: Kafka needs Java ${MIN_JAVA} or newer. ${fix}`;
  if (output('mvn', ['--version']) === undefined) yield `Maven (mvn) is missing. ${install('maven', 'maven')}`;
}

const packagesIn = (file) => {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), 'utf8')).packages ?? {};
  } catch {
    return {};
  }
};

/** npm writes down what it installed: every package of the lock file must be there, in that version. */
function isInstalled() {
  const installed = packagesIn('node_modules/.package-lock.json');
  return Object.entries(packagesIn('package-lock.json'))
    .filter(([path, { optional }]) => path !== '' && !optional)
    .every(([path, { version }]) => installed[path]?.version === version);
}

function installPackages() {
  if (isInstalled()) return;
  process.stderr.write('Installing the npm packages (once, and after package-lock.json has changed)\n');
  // Not `npm ci`: it refuses a lock file that lacks the optional packages of other platforms, and it empties
  // node_modules under a running system. npm's own output goes to standard error.
  const { status, error } = spawnSync('npm', ['install', '--no-save', '--no-progress', '--loglevel=error'], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
  });
  if (error || status !== 0) {
    const why = error?.message ?? `npm install ended with exit code ${status}`;
    process.stderr.write(
      `The npm packages could not be installed (${why}): check the network, then run the command again.\n`,
    );
    process.exit(1);
  }
}

const problems = [...missing(process.env)];
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`);
  process.exit(1);
}
installPackages();
