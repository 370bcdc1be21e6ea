// Copies the browser files that Loradeck embeds out of node_modules and writes vendor.json, the record of where each came
// from. Run it with `npm run vendor` after changing a version in package.json; a Go test recomputes the digests.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const wanted = [
  { file: 'htmx.min.js', package: 'htmx.org', from: 'dist/htmx.min.js' },
  { file: 'hx-ws.min.js', package: 'htmx.org', from: 'dist/ext/hx-ws.min.js' },
  { file: 'tus.min.js', package: 'tus-js-client', from: 'dist/tus.min.js' },
];

const record = wanted.map(({ file, package: name, from }) => {
  const bytes = readFileSync(join(root, 'node_modules', name, from));
  const locked = lock.packages[`node_modules/${name}`];
  writeFileSync(join(here, file), bytes);
  return {
    file,
    package: name,
    version: locked.version,
    license: locked.license,
    from,
    tarball: locked.integrity,
    integrity: `sha384-${createHash('sha384').update(bytes).digest('base64')}`,
    bytes: bytes.length,
  };
});
writeFileSync(join(here, 'vendor.json'), `${JSON.stringify(record, null, 2)}\n`);
