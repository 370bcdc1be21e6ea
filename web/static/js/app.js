// The page's own script: the theme button, the word in the tray that says whether the socket is open, where focus goes after
// moving to another page, and Ctrl+Enter. Everything else is plain HTML or htmx; without script every page still reads and
// every form still works. #page is swapped on the way to another page, so nothing here holds on to an element in it.
(() => {
  const root = document.documentElement;

  const themes = ['system', 'light', 'dark'];
  const showTheme = () => {
    const button = document.querySelector('[data-theme-toggle]');
    if (!button) return;
    const name = `Theme: ${root.dataset.theme ?? 'system'}. Switch theme`;
    button.title = name;
    button.querySelector('.sr').textContent = name;
  };
  document.addEventListener('click', (event) => {
    if (!event.target.closest?.('[data-theme-toggle]')) return;
    const next = themes[(themes.indexOf(root.dataset.theme ?? 'system') + 1) % themes.length];
    if (next === 'system') delete root.dataset.theme; else root.dataset.theme = next;
    try {
      if (next === 'system') localStorage.removeItem('theme'); else localStorage.setItem('theme', next);
    } catch { /* the choice lasts for this page */ }
    showTheme();
  });
  showTheme();
  document.addEventListener('htmx:after:swap', showTheme);

  const connection = document.querySelector('[data-connection]');
  if (connection) connection.hidden = false;
  const say = (state, word) => {
    if (!connection || connection.dataset.state === state) return;
    connection.dataset.state = state;
    connection.textContent = word;
  };
  document.addEventListener('htmx:ws:after:connection', () => say('live', 'Live'));
  document.addEventListener('htmx:ws:close', () => say('stale', 'Reconnecting'));
  // A page taken from the back-forward cache has a closed socket and old facts.
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

  // A new page begins at its top, and whoever reads by ear is taken to its content.
  document.addEventListener('htmx:after:history:push', () => {
    scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
    document.querySelector('[data-arrive]')?.scrollIntoView();
  });

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    const run = event.target.closest?.('form[data-run]')?.querySelector('[type=submit]:enabled');
    if (run) { event.preventDefault(); run.form.requestSubmit(run); }
  });
})();
