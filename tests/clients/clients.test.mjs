// Client libraries of npm, used in the usual way. AtomDB listens at ATOMDB_PORT. Each test has its own tenant.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';

import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import IORedis from 'ioredis';
import { createClient } from 'redis';

const port = Number(process.env.ATOMDB_PORT);
let tenants = 0;
const secret = () => `npm-${process.pid}-${++tenants}`;

async function nodeRedis(t, password, options = {}) {
  const client = createClient({ socket: { host: '127.0.0.1', port }, password, ...options });
  client.on('error', (error) => { throw error; });
  await client.connect();
  t.after(() => client.close());
  return client;
}

async function ioRedis(t, password, options = {}) {
  const client = new IORedis({ host: '127.0.0.1', port, password, maxRetriesPerRequest: 1, ...options });
  await once(client, 'ready');
  t.after(() => client.disconnect());
  return client;
}

for (const RESP of [2, 3]) {
  test(`redis with RESP${RESP}: strings, options, counters, expiry`, async (t) => {
    const client = await nodeRedis(t, secret(), { RESP, name: 'tester', database: 3 });
    assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK');
    assert.equal(await client.set('k', 'w', { condition: 'NX' }), null);
    assert.equal(await client.get('k'), 'v');
    assert.ok((await client.ttl('k')) > 0);
    assert.equal(await client.incrBy('n', 5), 5);
    assert.equal(Number(await client.incrByFloat('n', 0.5)), 5.5);
    assert.deepEqual(await client.mGet(['k', 'none', 'n']), ['v', null, '5.5']);
    assert.equal(await client.setBit('bits', 7, 1), 0);
    assert.equal(await client.bitCount('bits'), 1);
    assert.equal(Number(await client.pfAdd('hll', ['a', 'b'])), 1);
    assert.equal(await client.pfCount('hll'), 2);
    assert.equal(await client.clientGetName(), 'tester');
    assert.equal((await client.clientInfo()).db, 3);
    assert.match(await client.info('server'), /redis_version:7\.0/);
    assert.equal((await client.configGet('databases')).databases, '16');
    const keys = [];
    for await (const some of client.scanIterator({ MATCH: '*', COUNT: 2 })) keys.push(...some);
    assert.deepEqual(keys.sort(), ['bits', 'hll', 'k', 'n']);
    assert.ok((await client.commandCount()) > 80);
  });

  test(`redis with RESP${RESP}: MULTI, WATCH and pipelines`, async (t) => {
    const password = secret();
    const client = await nodeRedis(t, password, { RESP });
    const other = await nodeRedis(t, password, { RESP });
    assert.deepEqual(await client.multi().set('a', 1).incr('a').get('a').exec(), ['OK', 2, '2']);
    await client.watch('a');
    await other.set('a', 10);
    await assert.rejects(client.multi().incr('a').exec(), /watched keys/);
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`p${i % 20}`, i)));
    assert.ok(replies.every((reply) => reply === 'OK'));
  });

  test(`redis with RESP${RESP}: pub/sub and keyspace events`, async (t) => {
    const password = secret();
    const client = await nodeRedis(t, password, { RESP });
    const subscriber = await nodeRedis(t, password, { RESP });
    const stranger = await nodeRedis(t, secret(), { RESP });
    const got = [];
    await subscriber.subscribe('news', (message) => got.push(message));
    await subscriber.pSubscribe('__keyevent@0__:*', (key, channel) => got.push(`${channel} ${key}`));
    await client.configSet('notify-keyspace-events', 'KEA');
    assert.equal(await stranger.publish('news', 'from elsewhere'), 0);
    assert.equal(await client.publish('news', 'hello'), 1);
    await client.set('k', 'v', { expiration: { type: 'PX', value: 20 } });
    while (got.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(got, ['hello', '__keyevent@0__:set k', '__keyevent@0__:expire k', '__keyevent@0__:expired k']);
  });
}

test('redis: client-side caching', async (t) => {
  const password = secret();
  const cached = await nodeRedis(t, password, { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
  const writer = await nodeRedis(t, password);
  await writer.set('k', 'old');
  assert.equal(await cached.get('k'), 'old');
  await writer.set('k', 'new');
  while ((await cached.get('k')) !== 'new') await new Promise((resolve) => setTimeout(resolve, 5));
});

test('redis: a wrong secret is refused', async () => {
  const client = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false }, password: '' });
  client.on('error', () => {});
  await client.connect();
  await assert.rejects(client.get('k'), /NOAUTH/);
  client.destroy();
});

test('ioredis: strings, pipelines, transactions, streams of keys', async (t) => {
  const client = await ioRedis(t, secret(), { db: 2, connectionName: 'io', keyPrefix: 'app:' });
  assert.equal(await client.set('k', 'v', 'EX', 100), 'OK');
  assert.equal(await client.get('k'), 'v');
  const results = await client.pipeline().set('n', 1).incr('n').get('n').exec();
  assert.deepEqual(results, [[null, 'OK'], [null, 2], [null, '2']]);
  assert.deepEqual(await client.multi().incr('n').incr('n').exec(), [[null, 3], [null, 4]]);
  await assert.rejects(client.multi().set('n').exec(), /EXECABORT|wrong number/);
  const keys = [];
  for await (const some of client.scanStream({ match: 'app:*' })) keys.push(...some);
  assert.deepEqual(keys.sort(), ['app:k', 'app:n']);
  assert.equal(await client.client('GETNAME'), 'io');
  assert.deepEqual(await client.getBuffer('k'), Buffer.from('v'));
  assert.equal((await client.dumpBuffer('k')).length > 10, true);
});

test('ioredis: pub/sub', async (t) => {
  const password = secret();
  const subscriber = await ioRedis(t, password);
  const client = await ioRedis(t, password);
  assert.equal(await subscriber.subscribe('a', 'b'), 2);
  assert.equal(await subscriber.psubscribe('n*'), 3);
  const messages = [];
  subscriber.on('message', (channel, message) => messages.push([channel, message]));
  subscriber.on('pmessage', (pattern, channel, message) => messages.push([pattern, channel, message]));
  assert.equal(await client.publish('b', 'one'), 1);
  assert.equal(await client.publish('news', 'two'), 1);
  while (messages.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(messages, [['b', 'one'], ['n*', 'news', 'two']]);
});

test('connect-redis keeps the sessions of express-session', async (t) => {
  const client = await nodeRedis(t, secret());
  const app = express();
  app.use(session({ store: new RedisStore({ client, prefix: 's:', ttl: 60 }), secret: 'x', resave: false, saveUninitialized: false }));
  app.get('/', (request, response) => {
    request.session.views = (request.session.views ?? 0) + 1;
    response.json(request.session.views);
  });
  app.get('/leave', (request, response) => request.session.destroy(() => response.json('left')));
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}`;
  const first = await fetch(url);
  const cookie = first.headers.get('set-cookie').split(';')[0];
  assert.equal(await first.json(), 1);
  assert.equal(await (await fetch(url, { headers: { cookie } })).json(), 2);
  const [key] = await client.keys('s:*');
  assert.ok((await client.ttl(key)) > 0);
  assert.equal(JSON.parse(await client.get(key)).views, 2);
  await fetch(`${url}/leave`, { headers: { cookie } });
  assert.deepEqual(await client.keys('s:*'), []);
});
