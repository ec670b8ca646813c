"use strict";
/* Requests /api/status and /api/history periodically and draws the results. Strings of the server become text nodes,
 * never HTML. */
(() => {
const STEP = 5000, RETRY = 2000, PATIENCE = 4000, HOUR = 3600000, BRIEF = 300000;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/* --- texts --------------------------------------------------------------------------------------------------------- */

const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const one = new Intl.NumberFormat("en", {maximumFractionDigits: 1});
const two = new Intl.NumberFormat("en", {maximumFractionDigits: 2});

const digits = (x) => (x < 10 ? two : x < 100 ? one : whole).format(x);
const count = (x) => x >= 1e9 ? digits(x / 1e9) + " G" : x >= 1e6 ? digits(x / 1e6) + " M" : x >= 1e5 ? digits(x / 1e3) + " k" : digits(x);

function bytes(x) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let i = 0;
	for (; x >= 1024 && i < units.length - 1; i++) x /= 1024;
	return digits(x) + "\u00a0" + units[i];
}

function duration(ns) {
	if (ns < 1e3) return ns > 0 ? "<\u00a01\u00a0\u00b5s" : "\u2013";
	if (ns < 1e6) return digits(ns / 1e3) + "\u00a0\u00b5s";
	return ns < 1e9 ? digits(ns / 1e6) + "\u00a0ms" : digits(ns / 1e9) + "\u00a0s";
}

function span(ms) {
	const s = Math.floor(ms / 1000), pairs = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
	const i = Math.max(0, pairs.findIndex(([length]) => s >= length));
	const part = (n, name) => n + " " + name + (n === 1 ? "" : "s");
	if (s < 60) return part(s, "second");
	const rest = i < 2 ? Math.floor(s % pairs[i][0] / pairs[i + 1][0]) : 0;
	return part(Math.floor(s / pairs[i][0]), pairs[i][1]) + (rest ? " " + part(rest, pairs[i + 1][1]) : "");
}

const clock = (ms) => new Date(ms).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const percent = (x) => x === null ? "\u2013" : one.format(x) + "\u00a0%";
const ratio = (hits, misses) => hits + misses > 0 ? hits / (hits + misses) * 100 : null;

/* --- elements ------------------------------------------------------------------------------------------------------ */

function make(name, attributes, ...children) {
	const e = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
	e.append(...children);
	return e;
}

function draw(name, attributes) {
	const e = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
	return e;
}

function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/* --- charts -------------------------------------------------------------------------------------------------------- */

const rate = (column) => (p) => p.span_ms > 0 ? p[column] * 1000 / p.span_ms : 0;
const charts = [
	{id: "throughput", title: "Throughput", unit: "commands a second", show: count,
		lines: [["commands", rate("commands")]],
		note: "Commands of all clients."},
	{id: "latency", title: "Latency", unit: "at p99", show: duration, main: 1,
		lines: [["median", (p) => p.p50_ns], ["p99", (p) => p.p99_ns], ["longest", (p) => p.longest_ns]],
		scale: "log", blank: (p) => p.commands === 0,
		note: "Time inside AtomDB, without the network. 99 of 100 commands took less than p99. The scale is logarithmic."},
	{id: "hits", title: "Hit ratio", unit: "of lookups", show: percent, top: 100,
		lines: [["hits", (p) => ratio(p.hits, p.misses)]],
		note: "Lookups that found their key. If it falls, clients ask for keys that were evicted, have expired or never existed."},
	{id: "memory", title: "Memory", unit: "in use", show: bytes,
		lines: [["keys and tables", (p) => p.used_bytes], ["whole process", (p) => p.resident_bytes]],
		note: "Memory of the data of all tenants, and of the whole process."},
	{id: "gone-keys", title: "Evictions and expirations", unit: "keys a second", show: count, sum: true,
		lines: [["evicted", rate("evictions")], ["expired", rate("expired")]],
		note: "Evicted: removed because of a quota or a memory limit. Expired: removed because their time to live ended."},
	{id: "clients", title: "Clients", unit: "connected", show: count, whole: true,
		lines: [["clients", (p) => p.clients]],
		note: "Open connections of all tenants together."},
	{id: "keys", title: "Keys", unit: "stored", show: count, whole: true,
		lines: [["keys", (p) => p.keys]],
		note: "Keys in all databases of all tenants."},
	{id: "traffic", title: "Traffic", unit: "a second", show: bytes, sum: true,
		lines: [["in", rate("input_bytes")], ["out", rate("output_bytes")]],
		note: "Bytes read from clients, and bytes written to them."},
];
const WIDTH = 360, TOP = 12, BASE = 98, LABELS = 113;

function build(chart) {
	chart.value = make("span", {"data-value": ""});
	chart.readout = chart.lines.map(() => make("b"));
	chart.legend = make("p", {class: "legend"});
	chart.lines.forEach(([name], i) => {
		if (chart.lines.length > 1) chart.legend.append(make("span", {class: "h" + i}, name, chart.readout[i]));
	});
	chart.when = make("small", {class: "faint"});
	chart.svg = draw("svg", {class: "chart", viewBox: "0 0 " + WIDTH + " 118", preserveAspectRatio: "none", role: "img"});
	const card = make("section", {class: "card", id: chart.id, "aria-labelledby": chart.id + "-title"},
		make("h2", {id: chart.id + "-title"}, chart.title),
		make("p", {class: "now"}, chart.value, make("small", {}, chart.unit), chart.when), chart.legend, chart.svg,
		make("p", {class: "note"}, chart.note));
	chart.svg.addEventListener("pointermove", (event) => { chart.pointed = event.clientX; redraw(chart); });
	chart.svg.addEventListener("pointerleave", () => { chart.pointed = null; redraw(chart); });
	return card;
}

/* Returns a round number of at least `x` for the top of a scale: a power of two for bytes. */
function nice(x, binary) {
	if (binary) return 2 ** Math.ceil(Math.log2(Math.max(x, 1024)));
	const power = 10 ** Math.floor(Math.log10(Math.max(x, 1)));
	return [1, 2, 5, 10].map((m) => m * power).find((n) => n >= Math.max(x, 1));
}

let points = [], offset = 0;

function scaleOf(chart, values) {
	const all = values.flat().filter((y) => y !== null);
	const high = all.reduce((a, b) => Math.max(a, b), 0);
	if (chart.scale === "log") {
		const low = 2, up = Math.max(4, Math.ceil(Math.log10(Math.max(high, 1))));
		const rules = [];
		for (let i = low + 1; i <= up; i++) rules.push(10 ** i);
		return {y: (v) => BASE - (BASE - TOP) * Math.max(0, (Math.log10(Math.max(v, 1)) - low) / (up - low)), rules};
	}
	const top = chart.top || nice(high, chart.show === bytes);
	const rules = [top / 2, top].filter((rule) => !chart.whole || Number.isInteger(rule));
	return {y: (v) => BASE - (BASE - TOP) * v / top, rules};
}

function outline(values, x, y) {
	let path = "", area = "", from = null, last = null;
	const close = () => { if (from !== null) area += "L" + last + " " + BASE + "L" + from + " " + BASE + "Z"; from = null; };
	points.forEach((p, i) => {
		const v = values[i], before = points[i - 1];
		if (v === null) return close();
		const at = x(p.at_ms).toFixed(1), high = y(v).toFixed(1);
		if (from !== null && p.at_ms - before.at_ms > p.span_ms + STEP) close();
		path += (from === null ? "M" : "L") + at + " " + high;
		area += (from === null ? "M" : "L") + at + " " + high;
		if (from === null) from = at;
		last = at;
	});
	close();
	return {path, area};
}

function redraw(chart) {
	const end = Date.now() - offset, shownMs = Math.min(HOUR, Math.max(BRIEF, points.length ? end - points[0].at_ms : 0));
	const x = (at) => WIDTH * (1 - (end - at) / shownMs);
	const values = chart.lines.map(([, of]) => points.map((p) => chart.blank && chart.blank(p) ? null : of(p)));
	const scale = scaleOf(chart, values), parts = [];
	const width = chart.svg.clientWidth || WIDTH, squeeze = WIDTH / width;
	const text = (at, y, words, anchor) => {
		const t = draw("text", {x: 0, y: 0, transform: "translate(" + at + " " + y + ") scale(" + squeeze + " 1)", "text-anchor": anchor});
		t.textContent = words;
		parts.push(t);
	};
	for (const rule of [null, ...scale.rules]) {
		const y = rule === null ? BASE : scale.y(rule);
		parts.push(draw("line", {class: "rule", x1: 0, x2: WIDTH, y1: y, y2: y}));
	}
	values.forEach((line, i) => {
		const {path, area} = outline(line, x, scale.y);
		if (i === 0 && chart.scale !== "log") parts.push(draw("path", {class: "area h0", d: area}));
		parts.push(draw("path", {class: "h" + i, d: path}));
	});
	let below = LABELS;
	for (const rule of scale.rules) {
		const y = scale.y(rule) - 3;
		if (below - y >= 16) text(0, below = y, chart.show(rule), "start");
	}
	text(0, LABELS, shownMs >= HOUR - STEP ? "an hour ago" : span(shownMs) + " ago", "start");
	text(WIDTH, LABELS, "now", "end");
	const shown = pick(chart, x);
	if (shown >= 0 && chart.pointed != null)
		parts.push(draw("line", {class: "at", x1: x(points[shown].at_ms), x2: x(points[shown].at_ms), y1: TOP, y2: BASE}));
	chart.svg.replaceChildren(...parts);
	tell(chart, values, shown);
}

/* Returns the index of the point under the pointer, or of the last one. */
function pick(chart, x) {
	if (chart.pointed == null || points.length === 0) return points.length - 1;
	const box = chart.svg.getBoundingClientRect(), wanted = (chart.pointed - box.left) / box.width * WIDTH;
	let best = 0;
	points.forEach((p, i) => { if (Math.abs(x(p.at_ms) - wanted) < Math.abs(x(points[best].at_ms) - wanted)) best = i; });
	return best;
}

function tell(chart, values, shown) {
	const at = values.map((line) => shown >= 0 ? line[shown] : null);
	const main = chart.sum ? at.reduce((a, b) => a === null ? b : a + b, null) : at[chart.main || 0];
	const words = (v) => v === null || v === undefined ? "\u2013" : chart.show(v);
	say(chart.value, words(main));
	chart.value.dataset.value = main === null || main === undefined ? "" : main;
	at.forEach((v, i) => say(chart.readout[i], words(v)));
	say(chart.when, chart.pointed != null && shown >= 0 ? "at " + clock(points[shown].at_ms + offset) : "");
	const spoken = values.map((line, i) => {
		const known = line.filter((v) => v !== null);
		return chart.lines[i][0] + " now " + words(line[line.length - 1]) + ", at most " + words(known.length ? Math.max(...known) : null);
	});
	chart.svg.setAttribute("aria-label", chart.title + " over the last hour: " + spoken.join("; "));
}

/* --- tables -------------------------------------------------------------------------------------------------------- */

function table(heads, rows) {
	const row = (kind, cells) => make("tr", {}, ...cells.map(([content, style], i) => {
		const cell = make(kind, kind === "th" ? {scope: "col"} : {}, content);
		if (style) cell.className = style;
		return cell;
	}));
	return make("table", {}, make("thead", {}, row("th", heads)), make("tbody", {}, ...rows.map((cells) => row("td", cells))));
}

function bar(part, full) {
	const fill = make("span", {class: full ? "fill full" : "fill"});
	fill.style.width = Math.min(100, part * 100).toFixed(1) + "%";
	return make("span", {class: "track"}, fill);
}

let before = null;

/* The increase of a counter of a tenant per millisecond since the previous status, or null. */
function tenantRate(t, status, counter) {
	const old = before && before.tenants && before.tenants.find((o) => o.name === t.name);
	const ms = before ? status.uptime_ms - before.uptime_ms : 0;
	return old && ms > 0 && t[counter] >= old[counter] ? (t[counter] - old[counter]) / ms : null;
}

/* Shows a value of tenantRate(), with a dash for none. */
function shown(rate, format) {
	return rate === null ? "\u2013" : format(rate);
}

function showTenants(status) {
	if (!status.tenants) {
		const button = make("button", {type: "button"}, "Enter the secret");
		button.addEventListener("click", () => { ask("", true); });
		$("tenants").replaceChildren(make("p", {class: "empty"}, "The list of tenants needs the secret."), button);
		return;
	}
	const rows = status.tenants.slice();
	if (status.others.bytes > 0 || status.others.keys > 0 || status.others.clients > 0) rows.push(status.others);
	if (rows.length === 0) {
		$("tenants").replaceChildren(make("p", {class: "empty"}, "There is no tenant yet. The first client that authenticates opens one."));
		return;
	}
	const most = Math.max(1, ...rows.map((t) => t.bytes));
	$("tenants").replaceChildren(table(
		[["Tenant"], ["", "bar"], ["Memory"], ["of quota", "wide"], ["Keys"], ["Clients", "wide"], ["CPU", "wide"], ["Commands/s", "wide"], ["Hits", "wide"]],
		rows.map((t) => {
			const shares = [[t.bytes, t.quota_bytes], [t.keys, t.quota_keys]].filter(([, quota]) => quota > 0).map(([has, quota]) => has / quota);
			const used = shares.length > 0 ? Math.max(...shares) : null;
			const others = t.name === null;
			return [[others ? "all others" : t.name, others ? "faint" : ""], [bar(t.bytes / most, used !== null && used > .9), "bar"],
				[bytes(t.bytes)], [others ? "\u2013" : used === null ? "no quota" : percent(used * 100), "wide"], [count(t.keys)],
				[count(t.clients), "wide"], [others ? "\u2013" : shown(tenantRate(t, status, "cpu_ns"), (ns) => percent(ns / 1e4)), "wide"],
				[others ? "\u2013" : shown(tenantRate(t, status, "commands"), (n) => count(n * 1000)), "wide"],
				[others ? "\u2013" : percent(ratio(t.hits, t.misses)), "wide"]];
		})));
}

function showSlow(status) {
	const rows = status.slowest_commands;
	const most = Math.max(1, ...rows.map((c) => c.mean_ns));
	$("slow").replaceChildren(rows.length === 0 ? make("p", {class: "empty"}, "No command has run yet.") : table(
		[["Command"], ["", "bar wide"], ["Average"], ["p99"], ["Calls"]],
		rows.map((c) => [[c.name.toUpperCase().replace("|", " ")], [bar(c.mean_ns / most), "bar wide"], [duration(c.mean_ns)],
			[duration(c.p99_ns)], [count(c.calls)]])));
}

function showService(status) {
	const rows = [
		["State", health(status.health)], ["Version", status.version],
		["Running for", span(status.uptime_ms)], ["Workers", whole.format(status.workers)],
		["Tenants", whole.format(status.tenants_open)],
		["Clients", whole.format(status.clients) + (status.max_clients ? " of " + whole.format(status.max_clients) : "")],
		["Rejected clients", whole.format(status.rejected_clients)],
		["Wrong secrets", whole.format(status.auth_failures)],
		["Memory of tenants", bytes(status.used_bytes) + (status.max_memory ? " of " + bytes(status.max_memory) : ", no limit")],
		["Restarts that kept the data", whole.format(status.restarts)],
		["Crashes that kept the data", whole.format(status.crashes)],
		["Live changes of settings", whole.format(status.live_changes)],
	];
	$("service").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/* --- state --------------------------------------------------------------------------------------------------------- */

function health(h) {
	const words = {ok: "Serving", degraded: "Degraded", full: "Full", loading: "Loading", stopping: "Stopping", stuck: "Stuck"};
	const first = Object.hasOwn(words, h.status) ? words[h.status] : String(h.status);
	const failed = Object.entries(h.checks).filter(([, check]) => check.status !== "ok");
	return [first, ...failed.map(([name, check]) => name + ": " + check.reason)].join("; ");
}

function state(kind, text) {
	$("state").dataset.state = kind;
	say($("state-text"), text);
}

let answered = null;

/* Shows that AtomDB does not respond, or, if `misdirected`, that it refuses the host name of this page. */
function gone(misdirected) {
	state("bad", misdirected ? "Refused" : "Gone");
	const since = misdirected ? "AtomDB refuses the host name of this page: add it to http.hosts, or open the page by an IP address." : answered === null ? "AtomDB does not answer." : "AtomDB has not answered since " + clock(answered) + ". The metrics below are from that time.";
	say($("gone"), since + " This page retries every few seconds.");
	$("gone").hidden = false;
	$("body").classList.add("stale");
	const shown = $("service").querySelector("dd");
	if (shown) say(shown, "Gone");
	document.title = "Gone \u2013 AtomDB";
}

function here(status) {
	answered = Date.now();
	$("gone").hidden = true;
	$("ask").hidden = asking === "wanted" ? false : true;
	$("body").hidden = false;
	$("body").classList.remove("stale");
	state(status.health.status === "ok" ? "good" : "bad", health(status.health));
	say($("since"), "Version " + status.version + ", running for " + span(status.uptime_ms));
	document.title = "AtomDB";
}

/* --- secret -------------------------------------------------------------------------------------------------------- */

let asking = "";
const KEPT = "atomdb-http-secret";
const secret = {
	get: () => { try { return sessionStorage.getItem(KEPT); } catch { return secret.memory || null; } },
	set: (value) => { secret.memory = value; try { value === null ? sessionStorage.removeItem(KEPT) : sessionStorage.setItem(KEPT, value); } catch { /* keep it in memory only */ } },
};

/* Asks for the secret. If `wanted`, the user requested it, and the page shows some metrics without it. */
function ask(why, wanted) {
	asking = wanted ? "wanted" : "needed";
	say($("ask-wrong"), why);
	$("ask").hidden = false;
	if (!wanted) {
		$("body").hidden = true;
		state("waiting", "Secret needed");
	}
	$("secret").focus();
}

$("ask-form").addEventListener("submit", (event) => {
	event.preventDefault();
	secret.set($("secret").value);
	$("secret").value = "";
	say($("ask-wrong"), "");
	asking = "";
	$("ask").hidden = true;
	again(0);
});

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* Sends the secret as a password, in base64: a bearer token cannot contain every character. */
function headers() {
	const kept = secret.get();
	if (kept === null) return {};
	const text = Array.from(new TextEncoder().encode(":" + kept), (b) => String.fromCharCode(b)).join("");
	return {Authorization: "Basic " + btoa(text)};
}

class Refused extends Error {}
class Misdirected extends Error {}

async function fetchJson(path) {
	const abort = new AbortController(), timer = setTimeout(() => abort.abort(), PATIENCE);
	try {
		const answer = await fetch(path, {headers: headers(), signal: abort.signal, cache: "no-store", credentials: "omit"});
		if (answer.status === 401) throw new Refused();
		if (answer.status === 421) throw new Misdirected();
		if (!answer.ok) throw new Error(answer.status);
		return await answer.json();
	} finally {
		clearTimeout(timer);
	}
}

let process = null;

async function turn() {
	const status = await fetchJson("/api/status");
	if (status.start_ms !== process) points = [];
	process = status.start_ms;
	offset = Date.now() - (status.start_ms + status.uptime_ms);
	const last = points.length ? points[points.length - 1].number : 0;
	const history = await fetchJson("/api/history?after=" + last);
	for (const row of history.points) points.push(Object.fromEntries(history.columns.map((name, i) => [name, row[i]])));
	const oldest = Date.now() - offset - HOUR;
	points = points.filter((p) => p.at_ms >= oldest);
	here(status);
	charts.forEach(redraw);
	showTenants(status);
	showSlow(status);
	showService(status);
	before = status;
}

let timer = 0, running = false;

function again(after) {
	clearTimeout(timer);
	timer = setTimeout(poll, after);
}

async function poll() {
	if (running) return again(100);
	running = true;
	const sent = secret.get();
	try {
		await turn();
		again(STEP);
	} catch (error) {
		/* The refusal does not apply if the user has entered another secret since the request. */
		if (error instanceof Refused && secret.get() !== sent) {
			again(0);
		} else if (error instanceof Refused) {
			const wrong = sent !== null;
			secret.set(null);
			$("gone").hidden = true;
			/* Some metrics may need no secret. */
			ask(wrong ? "The secret is wrong." : $("ask-wrong").textContent, wrong);
			if (wrong) again(0);
		} else {
			gone(error instanceof Misdirected);
			again(RETRY);
		}
	} finally {
		running = false;
	}
}

$("charts").append(...charts.map(build));
addEventListener("resize", () => charts.forEach(redraw));
document.addEventListener("visibilitychange", () => { if (!document.hidden && asking !== "needed") again(0); });
again(0);
})();
