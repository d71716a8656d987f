// Load on an HTTP/1.1 server over raw keep-alive sockets, so that the generator is not what is measured.
// node load.mjs HOST PORT; each line on stdin is a job {"file", "connections", "seconds", "warm_seconds"}, answered by one
// line. The file holds one request a line, [method, path, body, headers]; body null for none. With `seconds` the list is
// gone through again and again for so long, after `warm_seconds` that do not count; without, exactly once.
// Answer: {"requests", "seconds", "statuses", "ms": {"p50", "p95", "p99", "max"}, "sample": {status: first body}}.
import fs from 'node:fs';
import net from 'node:net';
import readline from 'node:readline';

const [host, port] = [process.argv[2], Number(process.argv[3])];

function encoded(line) {
  const [method, path, body, headers] = JSON.parse(line);
  const content = Buffer.from(body ?? '');
  const more = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head =
    `${method} ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${content.length}\r\n${more}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

// Where the answer that begins the buffer ends, with its status and where its body begins; null while it is incomplete.
function answer(buffer) {
  const end = buffer.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = buffer.latin1Slice(0, end);
  const status = Number(head.slice(9, 12));
  const body = end + 4;
  const length = /\ncontent-length: *(\d+)/i.exec(head);
  if (length) {
    const size = body + Number(length[1]);
    return size <= buffer.length ? { status, body, size } : null;
  }
  if (!/\ntransfer-encoding: *chunked/i.test(head)) return { status, body, size: body };
  for (let at = body; ; ) {
    const line = buffer.indexOf('\r\n', at);
    if (line < 0) return null;
    const chunk = parseInt(buffer.latin1Slice(at, line), 16);
    at = line + 2 + chunk + 2;
    if (at > buffer.length) return null;
    if (chunk === 0) return { status, body, size: at };
  }
}

function percentiles(times) {
  const sorted = Float64Array.from(times).sort();
  const at = (share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

function run(job) {
  const requests = fs.readFileSync(job.file, 'utf8').split('\n').filter(Boolean).map(encoded);
  const statuses = {};
  const sample = {};
  const times = [];
  let next = 0;
  let open = job.connections;
  let begun = performance.now();
  let counts = !job.warm_seconds;
  const warmUntil = begun + (job.warm_seconds ?? 0) * 1000;
  const until = job.seconds ? warmUntil + job.seconds * 1000 : Infinity;

  return new Promise((resolve, reject) => {
    function one() {
      const socket = net.connect(port, host);
      socket.setNoDelay(true);
      let held = null;
      let sent = 0;
      function send() {
        if (performance.now() >= until || (!job.seconds && next >= requests.length)) {
          socket.end();
          open -= 1;
          if (open === 0) {
            const seconds = (performance.now() - begun) / 1000;
            resolve({ requests: times.length, seconds, statuses, ms: percentiles(times), sample });
          }
          return;
        }
        sent = performance.now();
        socket.write(requests[next++ % requests.length]);
      }
      socket.on('connect', send);
      socket.on('error', reject);
      socket.on('close', () => {
        if (!socket.writableEnded) reject(new Error('the server closed a connection'));
      });
      socket.on('data', (data) => {
        held = held ? Buffer.concat([held, data]) : data;
        const found = answer(held);
        if (!found) return;
        const now = performance.now();
        if (counts) {
          times.push(now - sent);
          statuses[found.status] = (statuses[found.status] ?? 0) + 1;
          sample[found.status] ??= held.toString('utf8', found.body, Math.min(found.size, found.body + 400));
        } else if (now >= warmUntil) {
          counts = true;
          begun = now;
        }
        held = null;
        send();
      });
    }
    for (let k = 0; k < job.connections; k += 1) one();
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + '\n');
}
