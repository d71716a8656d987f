// The official DTDL parser against the clock. The first line on stdin is {"documents": [text, ...]}; every further line
// asks for one pass over all of them and is answered with {"seconds", "valid"}. Start-up is over when "ready" is said.
import readline from 'node:readline';
import { getInterop } from './node_modules/@digicatapult/dtdl-parser/build/interop.js';

const parser = await getInterop();
let documents;

function pass() {
  let valid = 0;
  const begun = performance.now();
  for (const text of documents) {
    try {
      parser.parse(text);
      valid += 1;
    } catch {
      // An invalid document: the verdict is the exception.
    }
  }
  return { seconds: (performance.now() - begun) / 1000, valid };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  if (documents === undefined) {
    documents = JSON.parse(line).documents;
    process.stdout.write('ready\n');
  } else {
    process.stdout.write(JSON.stringify(pass()) + '\n');
  }
}
process.exit(0);
