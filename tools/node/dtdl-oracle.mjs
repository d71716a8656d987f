// The official DTDL parser as a line server: one JSON line {"id", "text"} in, one line out:
// {"id", "valid", "rules": [...], "undefined": [...], "other": "..."}. Used by tests to compare verdicts.
import readline from 'node:readline';
import { getInterop } from './node_modules/@digicatapult/dtdl-parser/build/interop.js';

const parser = await getInterop();

function verdict(text) {
  try {
    parser.parse(text);
    return { valid: true, rules: [], undefined: [], other: '' };
  } catch (error) {
    let answer;
    try {
      answer = JSON.parse(error.message);
    } catch {
      return { valid: false, rules: [], undefined: [], other: String(error.message) };
    }
    if (answer.ExceptionKind === 'Resolution') {
      return { valid: false, rules: [], undefined: answer.UndefinedIdentifiers, other: '' };
    }
    const errors = answer.Errors ?? [answer];
    const rules = [...new Set(errors.map((e) => String(e.ValidationID).split(':').pop()))].sort();
    return { valid: false, rules, undefined: [], other: '' };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  if (line.trim()) {
    const { id, text } = JSON.parse(line);
    process.stdout.write(JSON.stringify({ id, ...verdict(text) }) + '\n');
  }
}
process.exit(0);
