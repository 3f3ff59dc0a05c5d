/**
 * What the browser runs: it takes the changed parts from the stream, shows times as the reader has them, and says when the other side is gone.
 * The page works without it. Its hash is in the Content-Security-Policy.
 */
export const CLIENT_SCRIPT = `
(() => {
  const byId = (id) => document.getElementById(id);
  const base = location.pathname.replace(/\\/$/, '');
  const body = document.body;
  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
  const short = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

  const ago = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return s + ' s';
    const m = Math.floor(s / 60);
    if (m < 60) return m + ' min';
    const h = Math.floor(m / 60);
    return h < 48 ? h + ' h ' + (m % 60) + ' min' : Math.floor(h / 24) + ' days';
  };
  const showTimes = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll('time')) {
      const at = new Date(time.dateTime);
      const isToday = at.toDateString() === new Date(now).toDateString();
      const text = (isToday ? '' : day.format(at) + ', ') + short.format(at) + ' (' + ago(now - at) + ' ago)';
      if (time.textContent !== text) time.textContent = text;
      time.title = clock.format(at);
    }
  };

  const list = byId('list');
  const filter = byId('filter');
  filter.closest('label').hidden = list.children.length < 8;
  const applyFilter = () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const item of list.children) item.hidden = wanted !== '' && !item.textContent.toLowerCase().includes(wanted);
  };
  filter.addEventListener('input', applyFilter);

  const replace = (id, markup) => {
    const element = byId(id);
    if (element === null) return;
    const open = element.querySelector('details')?.open === true;
    const focused = element.contains(document.activeElement) ? document.activeElement : undefined;
    element.innerHTML = markup;
    const details = element.querySelector('details');
    if (open && details) details.open = true;
    if (focused) element.querySelector(focused.localName)?.focus();
  };
  const order = (ids) => {
    for (const item of [...list.children]) if (!ids.includes(item.id)) item.remove();
    ids.forEach((id, place) => {
      let item = byId(id);
      if (item === null) {
        item = document.createElement('li');
        item.id = id;
      }
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
    });
  };
  const update = (event) => {
    const news = JSON.parse(event.data);
    if (news.instance !== body.dataset.instance) return location.reload();
    if (news.order) order(news.order);
    for (const [id, markup] of Object.entries(news.parts)) replace(id, markup);
    if (news.title) document.title = news.title;
    Object.assign(body.dataset, news.flags);
    byId('at').textContent = 'Live.';
    applyFilter();
    showTimes();
    heard();
  };

  const link = byId('link');
  const SILENT_AFTER_MS = 12000;
  let heardAt = Date.now();
  let isOver = false;
  const say = (text) => {
    link.hidden = text === '';
    if (link.textContent !== text) link.textContent = text;
    body.classList.toggle('lost', text !== '');
  };
  const heard = () => {
    heardAt = Date.now();
    if (!isOver) say('');
  };
  const stream = new EventSource(base + '/events');
  stream.addEventListener('update', update);
  stream.addEventListener('beat', heard);
  stream.addEventListener('end', () => {
    isOver = true;
    say('The application has shut down, or is about to. What you see is its last state. Looking for a new one.');
  });
  stream.addEventListener('open', () => {
    isOver = false;
    heard();
  });
  stream.addEventListener('error', () => {
    if (!isOver) say('Connection lost at ' + short.format(heardAt) + '. What you see may be out of date. Trying again.');
    // The browser tries again by itself, except after an answer that is not a stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  });
  setInterval(() => {
    showTimes();
    if (!isOver && Date.now() - heardAt > SILENT_AFTER_MS) {
      say('Nothing was heard for ' + ago(Date.now() - heardAt) + '. The event loop of the application may be blocked, or the network is down.');
    }
  }, 1000);
  showTimes();

  const said = byId('said');
  document.addEventListener('submit', async (event) => {
    const form = event.target;
    if (form.method !== 'post') return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    said.textContent = 'Sending.';
    try {
      const answer = await fetch(location.pathname, { method: 'POST', body: fields, headers: { Accept: 'text/plain' } });
      said.textContent = await answer.text();
      if (answer.ok) form.reset();
    } catch {
      said.textContent = 'The application did not answer. Nothing may have been done.';
    }
  });
})();
`;
