// The text of docs/faults.md from its index on: made to be read in a terminal, and to be found by the words of a log.
const LONGEST_ANSWER = 240;
const LONGEST_PHRASE = 72;

/** What is said by chance, one or the other: how far a client is that has lost its server, and where a reset is seen. What stands for all of them comes first. */
const CHANCES = [
  {
    name: 'the client is connecting',
    words: [
      'the client is connecting',
      'the client is disconnected and reconnecting',
      'the client is connected, but not ready yet',
      'the client could not send the commands',
    ],
    details: '(?:: (?:connect ECONNREFUSED host:port|Socket closed unexpectedly))?',
  },
  {
    name: 'the connection was reset',
    words: [
      'read ECONNRESET',
      'write ECONNRESET',
      'read EPIPE',
      'write EPIPE',
      'the server closed the connection before it answered',
      'Connection terminated unexpectedly',
      'Connection lost: The server closed the connection',
    ],
    details: '\\.?',
  },
].map(({ name, words, details }) => ({ name, words, pattern: new RegExp(`(?:${words.join('|')})${details}`) }));

/** A client or a database that the same fault is staged with: `MariaDB: the server is frozen`, `the server is frozen (ioredis 5)`. */
const VARIANT = /^(?:(?<database>[A-Z][^:]{0,40}): )?(?<fault>.*?)(?: \((?<client>(?:pool of )?(?:ioredis|node-redis)[^()]*)\))?$/;

/** What stands before the message proper: the timeout, the counts, and the server in question. */
const PREFIXES = [
  /^timed out after N ms: /,
  /^\d+ of \d+ [^:]* failed(?:, \d+ must answer)?: /,
  /^host:port: /,
  /^(?:redis|tcp|mysql|postgresql|sqlite3) [^:]*(?:host:port\S*|:memory:|\/path)?: /,
  /^(?:GET|HEAD) \S+:? /,
  /^the file system of /,
  /^\/path /,
];

/** Codes that people paste into a search: of Node, of MySQL, of PostgreSQL and of Redis. */
const CODE = /\bE(?!RROR)[A-Z]{4,}\b|\bER_[A-Z_]+|\b\d{2}[0-9A-Z]{3}(?=\))|(?<=: )(?!SELECT|ERROR|GET|HEAD)[A-Z]{3,}(?= \w)/g;

/** The index, and one section for each probe. */
export function renderFaults(rows) {
  const faults = groupFaults(rows);
  const probes = [...new Set(faults.map(({ probe }) => probe))];
  const sections = probes.map(
    (probe) => `## ${probe}\n\n${faults.flatMap((fault) => (fault.probe === probe ? [renderFault(fault)] : [])).join('\n\n')}\n`,
  );
  return `${renderIndex(faults)}\n${sections.join('\n')}`;
}

/** `text` without what is another at each run: what was measured, and how far a client is that connects again. */
export function stable(text) {
  return withoutPlaces(text)
    .replace(/\d+(?:\.\d+)?(?= (?:ms|s|MiB|%)(?!\w))/g, 'N')
    .replace(CHANCES[0].pattern, CHANCES[0].name)
    .replace(CHANCES[1].pattern, CHANCES[1].name)
    .slice(0, 160);
}

/** By probe and fault; in each fault the answers, and who gave them. */
function groupFaults(rows) {
  const faults = new Map();
  for (const row of rows) {
    const { database, fault, client } = VARIANT.exec(row.fault).groups;
    const title = `${row.probe}: ${fault}`;
    const group = faults.get(title) ?? { probe: row.probe, title, answers: new Map() };
    faults.set(title, group);
    const answer = row.answer === undefined ? undefined : shorten(withoutPlaces(row.answer));
    const key = `${stable(answer ?? '')} ${recoveryKindOf(row)}`;
    const given = group.answers.get(key) ?? { answer, variants: [], rows: [] };
    group.answers.set(key, given);
    given.rows.push(row);
    const variant = database ?? client;
    if (variant !== undefined) given.variants.push(variant);
  }
  const sorted = [...faults.values()].toSorted((a, b) => compare(a.title, b.title));
  return sorted.map(({ probe, title, answers }) => ({
    probe,
    title,
    answers: [...answers.values()].map(sortVariants).toSorted(byVariant),
  }));
}

function sortVariants({ answer, variants, rows }) {
  return { answer, variants: variants.toSorted(compare), rows };
}

function byVariant(a, b) {
  return compare(a.variants.join(), b.variants.join());
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

function renderFault({ title, answers }) {
  return `### ${title}\n\n${answers.map(renderAnswer).join('\n\n')}`;
}

function renderAnswer({ answer, variants, rows }) {
  const subject = variants.length === 0 ? '' : `With ${variants.join('; ')}.\n`;
  if (answer === undefined) return `${subject}The probe passes.`;
  return `${subject}Answered in ${longest(rows, 'answeredMs')} ms. ${recoveryOf(rows)}\n\n    ${answer}`;
}

/** Rows of one answer recover in the same way. */
function recoveryKindOf({ recoveredMs, waitsFor }) {
  if (recoveredMs === undefined) return '';
  return waitsFor ?? 'first run';
}

function recoveryOf(rows) {
  const [{ recoveredMs, waitsFor }] = rows;
  if (recoveredMs === undefined) return 'Passes again when it is configured.';
  const after = `${longest(rows, 'recoveredMs')} ms`;
  return waitsFor === undefined ? `Passes again with the first run, ${after}.` : `Passes again after ${after}: waits for ${waitsFor}.`;
}

function longest(rows, time) {
  return Math.max(...rows.map((row) => row[time]));
}

function renderIndex(faults) {
  const entries = new Map();
  const add = (words, { title }) => entries.set(words, (entries.get(words) ?? new Set()).add(title));
  for (const fault of faults) {
    for (const { answer } of fault.answers) {
      if (answer === undefined) continue;
      const text = stable(answer);
      for (const phrase of spellOut(phraseOf(text))) add(phrase, fault);
      for (const [code] of text.matchAll(CODE)) add(code, fault);
    }
  }
  const sorted = [...entries].toSorted(([a], [b]) => compare(a.toLowerCase(), b.toLowerCase()));
  return sorted.map(([words, titles]) => `- \`\` ${words} \`\`\n${[...titles].map((title) => `  - ${linkTo(title)}\n`).join('')}`).join('');
}

/** A phrase in each of the ways in which it is said by chance. */
function spellOut(phrase) {
  const chance = CHANCES.find(({ name }) => phrase.includes(name));
  if (chance === undefined) return [phrase];
  // The drivers of databases have words of their own, and a phrase of theirs has others around them.
  const words = chance.words.filter((one) => phrase !== chance.name || !one.startsWith('Connection'));
  return words.map((one) => phrase.replace(chance.name, one));
}

/** The first words of a message that are not those of every message. */
function phraseOf(text) {
  let rest = text;
  for (const prefix of PREFIXES) rest = rest.replace(prefix, '');
  const [first = '', second] = rest.split(': ');
  const phrase = second !== undefined && first.length < 16 ? `${first}: ${second}` : first;
  return phrase.length > LONGEST_PHRASE ? `${phrase.slice(0, LONGEST_PHRASE).replace(/ \S*$/, '')} …` : phrase;
}

/** To the section alone: an anchor with the whole title would double the width of the line. */
function linkTo(title) {
  return title.replace(/^[\w-]+/, (probe) => `[${probe}](#${probe})`);
}

/** Ports, addresses and folders are other ones at each run. */
function withoutPlaces(text) {
  return text
    .replace(/\d+\.\d+\.\d+\.\d+:\d+|localhost:\d+|\[::1\]:\d+|[\w-]+\.test:\d+|(?<=127\.0\.0\.1 port |port )\d+/g, 'host:port')
    .replace(/(?<![\w:/])(?:\/\.?[\w-]+(?:\.[\w-]+)*){2,}/g, '/path');
}

function shorten(text) {
  return text.length > LONGEST_ANSWER ? `${text.slice(0, LONGEST_ANSWER)}…` : text;
}
