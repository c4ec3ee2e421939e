// Node 18 (Debian 12) has WebCrypto, but not yet under the name by which the library looks for it.
import { webcrypto } from 'node:crypto';
globalThis.crypto ??= webcrypto;
