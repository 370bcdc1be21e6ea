// Sends adapters: what is dropped on any page or chosen in the tray is offered to the server, which says what to send and what
// it has already; tus-js-client sends that, two uploads at a time. Moving between pages swaps #page only, so none of this
// stops. What an upload is and what the checks say is drawn by the server; from here come only the rate, the time left and the
// buttons, which need the tab that sends.
(() => {
  const tray = document.querySelector('[data-adder]');
  const template = document.getElementById('transfer');
  const toasts = document.getElementById('transfers');
  const veil = document.querySelector('[data-veil]');
  if (!tray || !template || !window.tus) return;

  const atOnce = 2;
  const chunkSize = 64 * 2 ** 20; // bounds what a broken proxy can lose
  const patience = [200, 500, 1000, 2000, 3000, ...Array(30).fill(5000)]; // ms between attempts while the server does not answer
  const archive = /\.(zip|tar|tgz|tar\.gz)$/i;
  const transfers = [];

  const bytes = (n) => {
    if (n < 1000) return `${n} B`;
    for (const unit of ['KB', 'MB', 'GB']) {
      n /= 1000;
      if (n < 999.95 || unit === 'GB') return `${n.toFixed(1)} ${unit}`;
    }
  };
  const clock = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    return s < 3600 ? `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  };
  const announce = (text) => { document.querySelector('[data-said]').textContent = text; };

  // A transfer is one upload sent from this tab.
  class Transfer {
    constructor(name) {
      this.name = name;
      this.state = 'waiting';
      this.files = [];
      this.past = []; // [time, bytes] of the last seconds
      this.element = template.content.firstElementChild.cloneNode(true);
      this.part('pause').addEventListener('click', () => (this.state === 'paused' ? this.resume() : this.pause()));
      this.part('again').addEventListener('click', () => this.resume());
      this.part('cancel').addEventListener('click', () => this.cancel());
    }

    part(name) { return this.element.querySelector(`[data-${name}]`); }

    get total() { return this.files.reduce((sum, f) => sum + f.size, 0); }

    get sent() { return this.files.reduce((sum, f) => sum + f.received, 0); }

    // adopt takes over what the server knows of the upload; blobs are this tab's files by path.
    adopt(upload, blobs) {
      Object.assign(this, { id: upload.id, page: upload.page, name: upload.name });
      this.files = upload.files.filter((f) => f.keep).map((f) => ({ ...f, blob: blobs.get(f.path) }));
      this.files.sort((a, b) => a.size - b.size); // the small config first: with it and the weights' header the checks can run
    }

    start() {
      this.state = 'sending';
      this.past = [[performance.now(), this.sent]];
      this.next();
    }

    next() {
      const file = this.files.find((f) => f.received < f.size);
      if (!file) { this.end('sent'); return; }
      this.current = new tus.Upload(file.blob, {
        uploadUrl: new URL(file.url, location.href).href,
        chunkSize,
        retryDelays: patience,
        storeFingerprintForResuming: false,
        metadata: { path: file.path },
        onProgress: (sent) => { file.received = sent; this.word = ''; this.draw(); },
        onSuccess: () => { file.received = file.size; this.next(); },
        onShouldRetry: (error) => {
          const status = error.originalResponse?.getStatus() ?? 0;
          const may = status === 0 || status === 409 || status === 423 || status >= 500;
          if (may) { this.word = status === 507 ? 'The disk is full; waiting for room' : 'Waiting for the server'; this.draw(); }
          return may;
        },
        onError: (error) => this.fail(saidBy(error)),
      });
      this.current.start();
      this.draw();
    }

    pause() {
      this.current?.abort();
      this.state = 'paused';
      this.draw();
      pump();
    }

    resume() {
      this.state = 'waiting';
      this.trouble = '';
      this.draw();
      pump();
    }

    fail(message) {
      this.state = 'failed';
      this.trouble = message;
      announce(`${this.name}: the upload stopped. ${message}`);
      this.draw();
      pump();
    }

    async cancel() {
      this.current?.abort();
      const { id, state } = this;
      this.end('cancelled');
      if (!id) return;
      const answer = await fetch(`/api/v1/uploads/${id}`, { method: 'DELETE' }).catch(() => null);
      if (answer?.ok || answer?.status === 404) return;
      this.state = state === 'sending' ? 'paused' : state;
      transfers.push(this);
      this.fail('The server did not answer, so the upload is still there. Try again in a moment.');
    }

    end(word) {
      this.state = word;
      transfers.splice(transfers.indexOf(this), 1);
      this.element.remove();
      toasts.hidden = !toasts.children.length;
      if (word === 'sent') announce(`${this.name}: everything has been sent.`);
      pump();
    }

    figures() {
      const now = performance.now();
      this.past.push([now, this.sent]);
      while (this.past.length > 2 && now - this.past[0][0] > 4000) this.past.shift();
      const [[t0, b0]] = this.past;
      const rate = now - t0 > 250 ? (this.sent - b0) / (now - t0) * 1000 : 0;
      return { rate, left: rate > 0 ? (this.total - this.sent) / rate : NaN };
    }

    draw() {
      const sending = this.state === 'sending';
      const { rate, left } = sending ? this.figures() : { rate: 0, left: NaN };
      const set = (name, text) => { const e = this.part(name); if (e.textContent !== text) e.textContent = text; };
      set('name', this.name);
      if (this.page) this.part('name').href = this.page;
      set('word', this.word || { waiting: 'Waits for another upload', sending: 'Sending', paused: 'Paused', failed: 'Stopped' }[this.state] || '');
      set('sent', this.total ? `${bytes(this.sent)} of ${bytes(this.total)}` : '–');
      set('rate', rate > 0 ? `${bytes(rate)}/s` : '–');
      set('left', Number.isFinite(left) ? `about ${clock(left)}` : '–');
      set('pause', this.state === 'paused' ? 'Go on' : 'Pause');
      this.part('pause').hidden = this.state === 'failed';
      this.part('again').hidden = this.state !== 'failed' || !this.id;
      set('cancel', this.id ? 'Cancel the upload' : 'Dismiss');
      set('trouble', this.trouble || '');
      this.part('trouble').hidden = !this.trouble;
      this.place();
    }

    // place puts the controls on the upload's own page, or, when it has stopped, above the tray of any other.
    place() {
      const slot = this.id && document.querySelector(`[data-transfer="${this.id}"]`);
      if (slot) {
        if (this.element.parentElement !== slot) slot.replaceChildren(this.element);
      } else if (this.state === 'failed') {
        if (this.element.parentElement !== toasts) toasts.append(this.element);
      } else if (this.element.parentElement === toasts) {
        this.element.remove();
      }
      toasts.hidden = !toasts.children.length;
    }
  }

  const pump = () => {
    while (transfers.filter((t) => t.state === 'sending').length < atOnce) {
      const next = transfers.find((t) => t.state === 'waiting' && t.id);
      if (!next) return;
      next.start();
    }
  };

  // saidBy finds the server's own sentence in an error.
  const saidBy = (error) => {
    try {
      return JSON.parse(error.originalResponse.getBody()).error.message;
    } catch {
      return 'The server does not answer. Nothing that has arrived is lost; try again when it is back.';
    }
  };

  // add offers what was dropped or chosen. A drop is { kind, name, files: [{ path, file }] }.
  const add = async (drops) => {
    for (const drop of drops) {
      const t = new Transfer(drop.name || 'Adapter');
      transfers.push(t);
      try {
        const answer = await fetch('/api/v1/uploads', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({
            kind: drop.kind,
            name: drop.name,
            files: drop.files.map(({ path, file }) => ({ path, size: file.size, modified: file.lastModified })),
          }),
        });
        const said = await answer.json();
        if (!answer.ok) { t.fail(said.error.message); continue; }
        const earlier = transfers.find((other) => other.id === said.id);
        if (earlier) { // dropped twice: the first goes on
          t.end('known');
          if (earlier.state === 'paused' || earlier.state === 'failed') earlier.resume();
        } else {
          t.adopt(said, new Map(drop.files.map(({ path, file }) => [path, file])));
        }
        if (drops.length === 1) open(said.page);
      } catch {
        t.fail('The server does not answer. Try again when it is back.');
      }
      pump();
    }
  };

  const open = (page) => {
    if (location.pathname === page) { redraw(); return; }
    const link = document.createElement('a');
    link.href = page;
    document.body.append(link);
    htmx.process(link); // boosted like every other link
    link.click();
    link.remove();
  };

  const sorted = (folders, loose) => {
    const drops = folders;
    const single = loose.filter(({ path }) => archive.test(path));
    const rest = loose.filter(({ path }) => !archive.test(path));
    for (const entry of single) drops.push({ kind: 'archive', name: entry.path, files: [entry] });
    if (rest.length) drops.push({ kind: 'folder', name: '', files: rest });
    return drops;
  };

  // walk lists a dropped folder. Readers give a batch at a time, an empty one at the end.
  const walk = async (entry, prefix, into) => {
    if (entry.isFile) {
      into.push({ path: prefix + entry.name, file: await new Promise((yes, no) => { entry.file(yes, no); }) });
      return into;
    }
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((yes, no) => { reader.readEntries(yes, no); });
      if (!batch.length) return into;
      for (const inner of batch) await walk(inner, `${prefix}${entry.name}/`, into);
    }
  };

  const dropped = async (entries) => {
    const folders = [];
    const loose = [];
    for (const entry of entries) {
      const files = await walk(entry, '', []);
      if (entry.isDirectory) {
        const strip = entry.name.length + 1;
        folders.push({ kind: 'folder', name: entry.name, files: files.map(({ path, file }) => ({ path: path.slice(strip), file })) });
      } else {
        loose.push(...files);
      }
    }
    return sorted(folders, loose);
  };

  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  let depth = 0; // dragenter and dragleave come for every element on the way
  const show = (n) => { depth = Math.max(0, n); veil.hidden = depth === 0; };
  document.addEventListener('dragenter', (event) => { if (hasFiles(event)) { event.preventDefault(); show(depth + 1); } });
  document.addEventListener('dragleave', (event) => { if (hasFiles(event)) show(depth - 1); });
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    show(0);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean); // gone after this turn
    add(await dropped(entries));
  });

  for (const button of tray.querySelectorAll('[data-pick]')) {
    const input = tray.querySelector(`[data-input="${button.dataset.pick}"]`);
    button.addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      const files = [...input.files];
      input.value = ''; // the same choice again is a change again
      tray.open = false;
      if (!files.length) return;
      if (button.dataset.pick === 'files') { add(sorted([], files.map((file) => ({ path: file.name, file })))); return; }
      const name = files[0].webkitRelativePath.split('/')[0];
      add([{ kind: 'folder', name, files: files.map((file) => ({ path: file.webkitRelativePath.slice(name.length + 1), file })) }]);
    });
  }
  document.addEventListener('click', (event) => { if (!tray.contains(event.target)) tray.open = false; });
  tray.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !tray.open) return;
    tray.open = false;
    tray.querySelector('summary').focus();
  });

  const redraw = () => { for (const t of [...transfers]) t.draw(); };
  document.addEventListener('htmx:after:swap', redraw);
  setInterval(() => { for (const t of transfers) if (t.state === 'sending') t.draw(); }, 1000);
  addEventListener('online', () => { for (const t of [...transfers]) if (t.state === 'failed' && t.id) t.resume(); });
  addEventListener('beforeunload', (event) => { if (transfers.some((t) => t.state === 'sending' || t.state === 'waiting')) event.preventDefault(); });
})();
