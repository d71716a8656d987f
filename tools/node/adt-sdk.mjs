// Calls every operation of @azure/digital-twins-core on an ADT server and prints what each call gave, as one JSON object.
// node adt-sdk.mjs ENDPOINT EVENT_ENDPOINT, the latter the name of an endpoint for event routes. With https the client is
// as anybody uses it, and NODE_EXTRA_CA_CERTS names the server's CA. Over http its token policy, which refuses to work
// without TLS, is taken out.
// Report: {"calls": [operation, ...], "steps": {name: {"value"} or {"error": {"status", "code", "message"}}}}.
import sdk from '@azure/digital-twins-core';

const [endpoint, eventEndpoint] = process.argv.slice(2);
const credential = { getToken: async () => ({ token: 'local', expiresOnTimestamp: Date.now() + 3_600_000 }) };
const client = new sdk.DigitalTwinsClient(endpoint, credential);
if (endpoint.startsWith('http:')) {
  const inner = client.client;
  inner._requestPolicyFactories = inner._requestPolicyFactories.filter(
    (factory) => factory.create({}, {}).constructor.name !== 'BearerTokenAuthenticationPolicy',
  );
}

const calls = new Set();
const adt = new Proxy(client, {
  get(target, name) {
    const member = target[name];
    if (typeof member !== 'function') return member;
    calls.add(name);
    return member.bind(target);
  },
});

const steps = {};
async function step(name, work) {
  try {
    const value = await work();
    steps[name] = { value: value === undefined ? null : value };
  } catch (error) {
    if (error.statusCode === undefined) throw error;
    const code = error.code ?? error.details?.error?.code;
    const body = error.details?.error ?? {};
    steps[name] = { error: { status: error.statusCode, code, message: error.message, details: body.details ?? null } };
  }
}

// The status, the headers the client knows (`etag`) and the members of the body.
function plain(answer) {
  const { _response, body, ...rest } = answer;
  return { status: _response.status, ...rest, ...body };
}

async function all(pager) {
  const found = [];
  for await (const item of pager) found.push(item);
  return found;
}

async function pages(pager, settings) {
  const sizes = [];
  for await (const page of pager.byPage(settings)) sizes.push((page.value ?? page).length);
  return sizes;
}

const dtdl = (name, ...contents) => ({
  '@id': `dtmi:js:${name};1`,
  '@type': 'Interface',
  '@context': 'dtmi:dtdl:context;2',
  displayName: name,
  contents,
});
const property = (name, schema) => ({ '@type': 'Property', name, schema });
const METER = dtdl('Meter', property('reading', 'double'));
const FLOOR = dtdl(
  'Floor',
  property('level', 'integer'),
  property('unit', 'string'),
  { '@type': 'Component', name: 'meter', schema: METER['@id'] },
  { '@type': 'Relationship', name: 'above', properties: [property('height', 'double')] },
  { '@type': 'Telemetry', name: 'noise', schema: 'double' },
);
const floor = (more) =>
  JSON.stringify({ $metadata: { $model: FLOOR['@id'] }, meter: { $metadata: {} }, ...more });
const replace = (path, value) => [{ op: 'replace', path, value }];

// models
await step('create no models', () => adt.createModels([]));
await step('create models', async () => (await adt.createModels([FLOOR, METER])).map((model) => model.id));
await step('create models again', () => adt.createModels([FLOOR]));
await step('create a model without id', () => adt.createModels([{ ...METER, '@id': undefined }]));
const misnamed = { '@type': 'Component', name: 'c', schema: 'XXX' };
await step('create a model with a bad reference', () => adt.createModels([dtdl('Bad', misnamed)]));
await step('get model', async () => plain(await adt.getModel(FLOOR['@id'])));
await step('get model with definition', async () => (await adt.getModel(FLOOR['@id'], true)).model);
await step('get no model', () => adt.getModel('dtmi:js:None;1'));
await step('get a malformed model id', () => adt.getModel('thisIsNotAValidModelId'));
await step('list models', async () => (await all(adt.listModels())).map((model) => model.id));
await step('list models by page', () => pages(adt.listModels(), { maxPageSize: 1 }));
await step('list dependencies', async () =>
  (await all(adt.listModels([METER['@id']], true))).map((model) => model.model['@id']));
await step('delete a model in use', () => adt.deleteModel(METER['@id']));

// twins
await step('upsert twin', async () => plain(await adt.upsertDigitalTwin('a b/ü', floor({ level: 1, unit: 'm' }))));
await step('upsert twin if missing', () => adt.upsertDigitalTwin('a b/ü', floor(), { ifNoneMatch: '*' }));
await step('upsert twin, bad condition', () => adt.upsertDigitalTwin('a b/ü', floor(), { ifNoneMatch: 'XXX' }));
const unknown = JSON.stringify({ $metadata: { $model: 'dtmi:js:None;1' } });
await step('upsert twin of no model', () => adt.upsertDigitalTwin('x', unknown));
await step('upsert twin without component', () =>
  adt.upsertDigitalTwin('x', JSON.stringify({ $metadata: { $model: FLOOR['@id'] } })));
await step('get twin', async () => plain(await adt.getDigitalTwin('a b/ü')));
await step('get no twin', () => adt.getDigitalTwin('none'));
await step('update twin', async () => plain(await adt.updateDigitalTwin('a b/ü', replace('/level', 42))));
const stale = (await client.getDigitalTwin('a b/ü')).etag;
await step('update twin if it matches', async () =>
  plain(await adt.updateDigitalTwin('a b/ü', replace('/level', 43), { ifMatch: stale })));
await step('update twin, stale etag', () => adt.updateDigitalTwin('a b/ü', replace('/level', 44), { ifMatch: stale }));
await step('update twin, bad condition', () =>
  adt.updateDigitalTwin('a b/ü', replace('/level', 44), { ifMatch: 'XXX' }));
await step('update twin, bad operation', () =>
  adt.updateDigitalTwin('a b/ü', [{ op: 'move', path: '/level', value: 1 }]));
await step('update no twin', () => adt.updateDigitalTwin('none', replace('/level', 1)));
await step('twin after updates', async () => plain(await adt.getDigitalTwin('a b/ü')));

// components
await step('update component', async () =>
  plain(await adt.updateComponent('a b/ü', 'meter', [{ op: 'add', path: '/reading', value: 1.5 }])));
await step('get component', async () => plain(await adt.getComponent('a b/ü', 'meter')));
await step('get no component', () => adt.getComponent('a b/ü', 'other'));
await step('update no component', () => adt.updateComponent('a b/ü', 'other', replace('/reading', 1)));
await step('update component, bad condition', () =>
  adt.updateComponent('a b/ü', 'meter', replace('/reading', 1), { ifMatch: 'etag-value' }));
await step('update component, stale etag', () =>
  adt.updateComponent('a b/ü', 'meter', replace('/reading', 1), { ifMatch: stale }));
await step('update component if it matches', async () => {
  const { etag } = await adt.getDigitalTwin('a b/ü');
  return plain(await adt.updateComponent('a b/ü', 'meter', replace('/reading', 2.5), { ifMatch: etag }));
});

// relationships
for (let number = 0; number < 12; number += 1) await client.upsertDigitalTwin(`t${number}`, floor());
const edge = (target, more) => ({ $relationshipName: 'above', $targetId: target, ...more });
await step('upsert relationship', async () =>
  plain(await adt.upsertRelationship('a b/ü', 'r-0', edge('t0', { height: 2 }))));
await step('upsert relationship if missing', () =>
  adt.upsertRelationship('a b/ü', 'r-0', edge('t0'), { ifNoneMatch: '*' }));
await step('upsert relationship of no twin', () => adt.upsertRelationship('none', 'r', edge('t0')));
await step('upsert relationship to no twin', () => adt.upsertRelationship('a b/ü', 'r', edge('none')));
await step('upsert relationship of no such name', () =>
  adt.upsertRelationship('a b/ü', 'r', { $relationshipName: 'below', $targetId: 't0' }));
await step('get relationship', async () => plain(await adt.getRelationship('a b/ü', 'r-0')));
await step('get no relationship', () => adt.getRelationship('a b/ü', 'none'));
await step('update relationship', async () =>
  plain(await adt.updateRelationship('a b/ü', 'r-0', replace('/height', 3.5))));
await step('update relationship, nothing to remove', () =>
  adt.updateRelationship('a b/ü', 'r-0', [{ op: 'remove', path: '/depth' }]));
await step('update relationship, no operation', () => adt.updateRelationship('a b/ü', 'r-0', [{}]));
await step('update relationship, stale etag', () =>
  adt.updateRelationship('a b/ü', 'r-0', replace('/height', 4), { ifMatch: stale }));
await step('update relationship if it matches', async () => {
  const { etag } = await adt.getRelationship('a b/ü', 'r-0');
  return plain(await adt.updateRelationship('a b/ü', 'r-0', replace('/height', 4.5), { ifMatch: etag }));
});
for (let number = 1; number < 12; number += 1) {
  await client.upsertRelationship('a b/ü', `r-${number}`, edge(`t${number}`));
  await client.upsertRelationship(`t${number}`, `back-${number}`, edge('a b/ü'));
}
await step('list relationships', async () =>
  (await all(adt.listRelationships('a b/ü'))).map((found) => found.$relationshipId));
await step('list relationships by page', () => pages(adt.listRelationships('a b/ü')));
await step('list incoming relationships', async () =>
  (await all(adt.listIncomingRelationships('a b/ü'))).map((found) => found.relationshipId));
await step('list incoming relationships by page', () => pages(adt.listIncomingRelationships('a b/ü')));
await step('delete a twin with relationships', () => adt.deleteDigitalTwin('a b/ü'));
await step('delete relationship, bad condition', () =>
  adt.deleteRelationship('a b/ü', 'r-0', { ifMatch: 'XXX' }));
await step('delete relationship, stale etag', () => adt.deleteRelationship('a b/ü', 'r-0', { ifMatch: stale }));
await step('delete relationship', async () => plain(await adt.deleteRelationship('a b/ü', 'r-0')));
await step('delete relationship if it matches', async () => {
  const { etag } = await adt.getRelationship('a b/ü', 'r-1');
  return plain(await adt.deleteRelationship('a b/ü', 'r-1', { ifMatch: etag }));
});
await step('delete no relationship', () => adt.deleteRelationship('a b/ü', 'r-0'));

// telemetry
await step('publish telemetry', async () => plain(await adt.publishTelemetry('t0', { noise: 1 }, 'message-1')));
await step('publish a text', async () => plain(await adt.publishTelemetry('t0', 'noise')));
await step('publish telemetry of no twin', () => adt.publishTelemetry('none', {}));
// Version 1.1.0 of the client changes payload and message id for one another here, so both have to be texts.
await step('publish component telemetry', async () =>
  plain(await adt.publishComponentTelemetry('t0', 'meter', 'message-2', 'payload')));
await step('publish telemetry of no component', () =>
  adt.publishComponentTelemetry('t0', 'other', 'message-3', 'payload'));

// queries
await step('query', async () =>
  (await all(adt.queryTwins("SELECT T.$dtId FROM DIGITALTWINS T WHERE T.level = 43"))));
await step('query by page', () => pages(adt.queryTwins('SELECT * FROM digitaltwins', 5)));
await step('query from a token', async () => {
  const { value: page } = await adt.queryTwins('SELECT * FROM digitaltwins', 5).byPage().next();
  return pages(adt.queryTwins('SELECT * FROM digitaltwins', 5), { continuationToken: page.continuationToken });
});
await step('query, bad text', () => all(adt.queryTwins('foo')));

// event routes
await step('upsert a route to no endpoint', () =>
  adt.upsertEventRoute('route', 'no-such-endpoint', "type = 'Microsoft.DigitalTwins.Twin.Create'"));
await step('get no route', () => adt.getEventRoute('none'));
await step('delete no route', () => adt.deleteEventRoute('none'));
await step('upsert a route with a bad filter', () =>
  adt.upsertEventRoute('route', eventEndpoint, 'this is not a valid filter string'));
await step('upsert route', async () => plain(await adt.upsertEventRoute('route', eventEndpoint, 'true')));
await step('upsert another route', async () => plain(await adt.upsertEventRoute('a', eventEndpoint, "type = 'x'")));
await step('get route', async () => plain(await adt.getEventRoute('a')));
await step('list routes', async () => (await all(adt.listEventRoutes())).map((found) => found.id));
await step('list routes by page', () => pages(adt.listEventRoutes(), { maxPageSize: 1 }));
await adt.publishTelemetry('t0', { noise: 2 }, 'message-4');
await step('delete route', async () => plain(await adt.deleteEventRoute('route')));
await step('delete another route', async () => plain(await adt.deleteEventRoute('a')));
await step('list no routes', () => all(adt.listEventRoutes()));

// the end of twins and models
await step('delete twin, bad condition', () => adt.deleteDigitalTwin('t0', { ifMatch: 'XXX' }));
await step('delete twin, stale etag', () => adt.deleteDigitalTwin('t0', { ifMatch: stale }));
await step('delete twin if it matches', async () => {
  const { etag } = await adt.getDigitalTwin('t0');
  return plain(await adt.deleteDigitalTwin('t0', { ifMatch: etag }));
});
await step('delete no twin', () => adt.deleteDigitalTwin('t0'));
await step('decommission model', async () => plain(await adt.decomissionModel(FLOOR['@id'])));
await step('decommission model again', async () => plain(await adt.decomissionModel(FLOOR['@id'])));
await step('model after that', async () => plain(await adt.getModel(FLOOR['@id'])));
await step('upsert twin of a decommissioned model', () => adt.upsertDigitalTwin('new', floor()));
await step('decommission no model', () => adt.decomissionModel('dtmi:js:None;1'));
await step('delete model', async () => plain(await adt.deleteModel(FLOOR['@id'])));
await step('delete model again', () => adt.deleteModel(FLOOR['@id']));

const operations = Object.getOwnPropertyNames(sdk.DigitalTwinsClient.prototype).filter(
  (name) => name !== 'constructor' && !/(Page|All)$/.test(name),
);
console.log(JSON.stringify({ operations, calls: [...calls], steps }));
