import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { freePort } from '../../platform/free-port.ts';
import type { SecuredListener } from '../parts/kafka-properties.ts';

/** A certificate and its key, in PEM. */
interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface SecuredKafka {
  /** `127.0.0.1:port` of the listener that asks who one is. */
  readonly broker: string;
  readonly listener: SecuredListener;
  /** The authority that signed the broker's certificate and `client`'s, in PEM. */
  readonly ca: string;
  readonly client: Identity;
  /** Users of PLAIN and SCRAM with this password each. */
  readonly password: (user: string) => string;
  readonly remove: () => Promise<void>;
}

const password = (user: string): string => `${user}-p4ssword`;

async function authority(): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: 'Parley test authority' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true },
    ],
  });
  return { cert: made.cert, key: made.private };
}

async function signed(by: Identity, name: string): Promise<Identity> {
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca: by,
    extensions: [
      { name: 'basicConstraints', cA: false },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/**
 * What a broker needs for a SASL_SSL listener with Kafka's own StandardAuthorizer: PLAIN, SCRAM-SHA-256 and -512 for the
 * users, OAUTHBEARER with unsecured tokens. Who comes over the plain listener is the super user, as broker, registry and
 * the test's own admin do.
 */
export async function secureKafka(users: readonly string[]): Promise<SecuredKafka> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-secured-'));
  const ca = await authority();
  const [server, client] = [await signed(ca, 'localhost'), await signed(ca, 'parley-client')];
  const [keystore, truststore] = [join(folder, 'server.pem'), join(folder, 'ca.pem')];
  await writeFile(keystore, `${server.key}\n${server.cert}`);
  await writeFile(truststore, ca.cert);
  const port = await freePort();
  const plain = users.map((user) => `user_${user}="${password(user)}"`).join(' ');
  const security = 'org.apache.kafka.common.security';
  const listener = 'listener.name.sasl_ssl';
  return {
    broker: `127.0.0.1:${port}`,
    ca: ca.cert,
    client,
    password,
    listener: {
      port,
      properties: [
        'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users=User:ANONYMOUS',
        'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL',
        'ssl.keystore.type=PEM',
        `ssl.keystore.location=${keystore}`,
        'ssl.truststore.type=PEM',
        `ssl.truststore.location=${truststore}`,
        `${listener}.ssl.client.auth=requested`,
        `${listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER`,
        `${listener}.plain.sasl.jaas.config=${security}.plain.PlainLoginModule required ${plain};`,
        ...['256', '512'].map(
          (bits) => `${listener}.scram-sha-${bits}.sasl.jaas.config=${security}.scram.ScramLoginModule required;`,
        ),
        `${listener}.oauthbearer.sasl.jaas.config=${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
      ],
      formatOptions: users.flatMap((user) =>
        ['256', '512'].flatMap((bits) => [
          '--add-scram',
          `SCRAM-SHA-${bits}=[name=${user},password=${password(user)}]`,
        ]),
      ),
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
