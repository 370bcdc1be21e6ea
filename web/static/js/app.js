// All of the page's own script: the theme button, the word in the tray that says whether the socket is open, and
// Ctrl+Enter. Everything else is plain HTML or htmx; without script every page still reads and every form still works.
(() => {
  const root = document.documentElement;

  const themes = ['system', 'light', 'dark'];
  const button = document.querySelector('[data-theme-toggle]');
  const showTheme = (theme) => {
    const name = `Theme: ${theme}. Switch theme`;
    button.title = name;
    button.querySelector('.sr').textContent = name;
  };
  if (button) {
    button.hidden = false;
    showTheme(root.dataset.theme ?? 'system');
    button.addEventListener('click', () => {
      const next = themes[(themes.indexOf(root.dataset.theme ?? 'system') + 1) % themes.length];
      if (next === 'system') delete root.dataset.theme; else root.dataset.theme = next;
      try {
        if (next === 'system') localStorage.removeItem('theme'); else localStorage.setItem('theme', next);
      } catch { /* the choice lasts for this page */ }
      showTheme(next);
    });
  }

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

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    const form = event.target.closest?.('form[data-run]');
    if (form) { event.preventDefault(); form.requestSubmit(); }
  });
})();
